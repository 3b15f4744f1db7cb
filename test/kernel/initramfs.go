package kernel

import (
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"waggle/test/kernel/guest"
)

// initramfs is the file system that a machine boots with. Its contents are paths in it, without a leading slash.
type initramfs struct {
	archive
	made map[string]bool // directories
}

func newInitramfs(w io.Writer) *initramfs {
	return &initramfs{archive: archive{w: w}, made: map[string]bool{".": true}}
}

// parents makes the directories above name.
func (in *initramfs) parents(name string) error {
	dir := path.Dir(name)
	if in.made[dir] {
		return nil
	}
	if err := in.parents(dir); err != nil {
		return err
	}
	in.made[dir] = true
	return in.dir(dir)
}

// add puts a file of this machine into it.
func (in *initramfs) add(name, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := in.parents(name); err != nil {
		return err
	}
	return in.file(name, info.Mode(), content)
}

// tree puts what is below the directory from into it, but for what skip says.
func (in *initramfs) tree(name, from string, skip func(file string) bool) error {
	return filepath.WalkDir(from, func(file string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(from, file)
		if err != nil || skip(filepath.ToSlash(rel)) {
			return err
		}
		return in.add(path.Join(name, filepath.ToSlash(rel)), file)
	})
}

// moduleDirs are the parts of a kernel's modules that networking needs; disks, file systems and sound stay away.
var moduleDirs = []string{"net/", "drivers/net/", "lib/", "crypto/", "arch/"}

func unneeded(file string) bool {
	below, ok := strings.CutPrefix(file, "kernel/")
	return ok && !slices.ContainsFunc(moduleDirs, func(dir string) bool { return strings.HasPrefix(below, dir) })
}

// boot adds what every machine has: init, which is modprobe too, the kernel's modules and the plan; and ends the archive.
func (in *initramfs) boot(init string, k image, plan guest.Plan) error {
	text, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return in.add("init", init) },
		func() error { return in.parents("sbin/modprobe") },
		func() error { return in.symlink("sbin/modprobe", "/init") },
		func() error { return in.parents("dev/console") },
		func() error { return in.tree("lib/modules/"+k.release, k.modules, unneeded) },
		func() error { return in.file(guest.PlanFile[1:], 0o644, text) },
		in.close,
	} {
		if err := step(); err != nil {
			return fmt.Errorf("initramfs: %w", err)
		}
	}
	return nil
}
