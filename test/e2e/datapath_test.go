package e2e

import (
	"cmp"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
)

// envDatapath names the value of --datapath for the kernel path: tc if it is not set, xdp, or xdp-generic. `make test` runs all
// tests with tc and with xdp.
const envDatapath = "WAGGLE_TEST_DATAPATH"

func kernelMode() string { return cmp.Or(os.Getenv(envDatapath), "tc") }

func withXDP() bool { return kernelMode() != "tc" }

func kernelFlag() string { return "--datapath=" + kernelMode() }

// newLab makes a lab whose interfaces can have what kernelMode asks for.
func newLab(t *testing.T, o lab.Options) *lab.Lab {
	t.Helper()
	if o.XDP = withXDP(); o.XDP {
		skipBefore63(t)
	}
	return labtest.New(t, o)
}

// datapaths are the values of --datapath that the same tests must pass with. Userspace is the same without XDP.
func datapaths() []string {
	if withXDP() {
		return []string{kernelMode()}
	}
	return []string{kernelMode(), "off"}
}

// modes runs a test with each of them.
func modes(t *testing.T, test func(t *testing.T, b *balancer, kernel bool)) {
	t.Run("kernel", func(t *testing.T) {
		b := start(t, kernelFlag())
		b.hasXDP(t)
		test(t, b, true)
	})
	if !withXDP() {
		t.Run("userspace", func(t *testing.T) { test(t, start(t, "--datapath=off"), false) })
	}
}

// hasXDP demands that XDP is on both interfaces, if the tests run with it.
func (b *balancer) hasXDP(t *testing.T) {
	t.Helper()
	if withXDP() && b.metric("waggle_datapath_interface_info", fmt.Sprintf(`attach="%s+tcx"`, kernelMode())) != 2 {
		t.Fatalf("XDP is not on both interfaces:\n%s", b.process.Output())
	}
}

// skipBefore63 skips a test of native XDP on veths, of which older kernels do not say what they take from XDP.
func skipBefore63(t *testing.T) {
	t.Helper()
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		t.Fatal(err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	if major < 6 || major == 6 && minor < 3 {
		t.Skip("needs Linux 6.3")
	}
}
