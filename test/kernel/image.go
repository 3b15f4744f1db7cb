package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// EnvDir names the directory that an unpacked kernel package is in, with depmod run over it, as fetch.sh leaves it.
const EnvDir = "WAGGLE_TEST_KERNEL"

// EnvRun names a variable that, if set, is a regular expression: only tests of that name are run, for those who look into one.
const EnvRun = "WAGGLE_TEST_KERNEL_RUN"

// EnvAll names a variable that, if set, has all tests run also where the machine is emulated.
const EnvAll = "WAGGLE_TEST_KERNEL_ALL"

// image is a kernel and its modules.
type image struct {
	release string // uname -r
	vmlinuz string
	modules string // directory of this release's modules
}

// findImage looks for a kernel in a directory that a package was unpacked to.
func findImage(dir string) (image, error) {
	kernels, err := filepath.Glob(filepath.Join(dir, "boot", "vmlinuz-*"))
	if err != nil {
		return image{}, err
	}
	if len(kernels) != 1 {
		return image{}, fmt.Errorf("%d kernels in %s/boot, want one", len(kernels), dir)
	}
	k := image{vmlinuz: kernels[0]}
	k.release = strings.TrimPrefix(filepath.Base(k.vmlinuz), "vmlinuz-")
	k.modules = filepath.Join(dir, "lib", "modules", k.release)
	if _, err := os.Stat(filepath.Join(k.modules, "modules.dep")); err != nil {
		return image{}, fmt.Errorf("modules of %s: %w", k.release, err)
	}
	return k, nil
}
