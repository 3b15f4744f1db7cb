package datapath

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// A flow takes the 512 bytes of kernel memory that docs/operations.md says, by the kernel's own account of its table.
func TestMemoryPerFlow(t *testing.T) {
	const documented = 512
	k := newKernel(t, Options{FlowMax: 4096, HalfOpenRing: 4096})
	if thisMachine().older(6, 4) {
		t.Skip("before Linux 6.4 the kernel tells what the table takes when it is full")
	}
	k.sync(t, oneService(1))
	const flows = 2000
	empty := k.memlock(t)
	k.sendFrom(t, 0, flows)
	if n := k.entries(t); n != 2*flows {
		t.Fatalf("%d entries, want %d", n, 2*flows)
	}
	full := k.memlock(t)
	per := float64(full-empty) / flows
	t.Logf("%d bytes of an empty table, %.0f for each flow", empty, per)
	if per < documented*0.8 || per > documented {
		t.Errorf("a flow takes %.0f bytes; docs/operations.md says %d", per, documented)
	}
}

// memlock is what the kernel says that wg_flows takes.
func (k *kernel) memlock(t *testing.T) (bytes uint64) {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/self/fdinfo/%d", k.obj.WgFlows.FD()))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if number, ok := strings.CutPrefix(lines.Text(), "memlock:"); ok {
			if _, err := fmt.Sscan(number, &bytes); err != nil {
				t.Fatal(err)
			}
		}
	}
	return bytes
}
