package deploy

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"waggle/pkg/lab/require"
)

// TestUnitIsGoodAndExposesLittle has systemd read the unit: every key is known, and its own measure of exposure, from 0
// (nothing) to 100, stays where it is with the capabilities that the kernel path takes.
func TestUnitIsGoodAndExposesLittle(t *testing.T) {
	analyze := require.Tool(t, "systemd-analyze")
	// Programs and manual pages need not be installed for this.
	unit := bytes.ReplaceAll(read(t, "waggle.service"), []byte("/usr/local/sbin/waggle "), []byte("/bin/true "))
	unit = bytes.ReplaceAll(unit, []byte("Documentation=man:waggle(1) man:waggle.cfg(5)\n"), nil)
	file := filepath.Join(t.TempDir(), "waggle.service")
	if err := os.WriteFile(file, unit, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold=21", file).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}
