package kernel

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMachinesThatDoNotWork has scripts in place of qemu: KVM may be there and not work.
func TestMachinesThatDoNotWork(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		limit  time.Duration
		want   string // of the error; "" for none
	}{
		"boots":     {`echo '{"Kernel":"6.1"}{"Done":true}'`, time.Minute, ""},
		"complains": {`echo "failed to set MSR" >&2; exit 1`, time.Minute, "failed to set MSR"},
		"hangs":     {`echo '{"Kernel":"6.1"}'; exec sleep 1000`, time.Second, "still running"},
		"crashes":   {`echo '{"Kernel":"6.1"}'`, time.Minute, "before it was done"},
	} {
		t.Run(name, func(t *testing.T) {
			qemu := filepath.Join(t.TempDir(), "qemu")
			if err := os.WriteFile(qemu, []byte("#!/bin/sh\n"+c.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			m := machine{qemu: qemu}
			err := m.boots(c.limit)
			if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}
