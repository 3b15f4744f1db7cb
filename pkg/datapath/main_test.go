package datapath

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// provoked are the reasons that packets of tests have been counted under, over all kernels of newKernel.
var provoked struct {
	sync.Mutex
	packets map[string]uint64
}

// unprovoked are the reasons that no packet test can bring about at will.
var unprovoked = map[string]string{
	"rewrite": "the kernel changes every packet that the program has read",
}

// TestMain demands of a run of all tests that each reason in bpf/reasons.h was met by a packet.
//
// WAGGLE_TEST_OBJECTS names a directory: its lb_bpfel.o and xdp_bpfel.o are tested in place of those that were compiled in.
func TestMain(m *testing.M) {
	if dir := os.Getenv("WAGGLE_TEST_OBJECTS"); dir != "" {
		if err := useObjects(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	code := m.Run()
	whole := !testing.Short() && flag.Lookup("test.run").Value.String() == "" && flag.Lookup("test.skip").Value.String() == ""
	if missing := missingReasons(); code == 0 && whole && os.Geteuid() == 0 && len(missing) > 0 {
		fmt.Printf("FAIL: no packet of any test was counted under %q\n", missing)
		code = 1
	}
	os.Exit(code)
}

// sized is how many connections, packets or rounds a test has: fewer with -test.short, which is for emulated machines.
func sized(many, few int) int {
	if testing.Short() {
		return few
	}
	return many
}

func useObjects(dir string) (err error) {
	if _LbBytes, err = os.ReadFile(filepath.Join(dir, "lb_bpfel.o")); err != nil {
		return err
	}
	_XdpBytes, err = os.ReadFile(filepath.Join(dir, "xdp_bpfel.o"))
	return err
}

func missingReasons() (missing []string) {
	provoked.Lock()
	defer provoked.Unlock()
	for _, r := range Reasons() {
		if provoked.packets[r.Name] == 0 && unprovoked[r.Name] == "" {
			missing = append(missing, r.Name)
		}
	}
	slices.Sort(missing)
	return missing
}

// noteReasons adds what a kernel has counted.
func noteReasons(obj *object) error {
	reasons := make(map[string]uint64)
	if err := obj.readReasons(reasons); err != nil {
		return err
	}
	provoked.Lock()
	defer provoked.Unlock()
	if provoked.packets == nil {
		provoked.packets = make(map[string]uint64)
	}
	for name, n := range reasons {
		provoked.packets[name] += n
	}
	return nil
}
