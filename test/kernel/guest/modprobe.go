package guest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// modprobe is what the kernel runs when it wants a module (kernel.modprobe, /sbin/modprobe by default), with the
// arguments "-q -- NAME". NAME may be an alias, such as rtnl-link-veth.
func modprobe(args []string) error {
	if len(args) == 0 {
		return errors.New("no module named")
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return fmt.Errorf("uname: %w", err)
	}
	ms, err := readModules(os.DirFS(filepath.Join("/lib/modules", unix.ByteSliceToString(u.Release[:]))))
	if err != nil {
		return err
	}
	name := args[len(args)-1]
	files := ms.resolve(name)
	if len(files) == 0 {
		return fmt.Errorf("no module is or answers to %s", name)
	}
	for _, file := range files {
		if err := ms.load(file); err != nil {
			return fmt.Errorf("load %s for %s: %w", file, name, err)
		}
	}
	return nil
}

// modules is what depmod(8) has found out.
type modules struct {
	dir     fs.FS
	needs   map[string][]string // file of a module, to the files it needs, direct and indirect, the nearest first
	file    map[string]string   // name, with underscores, to file
	aliases []alias
}

type alias struct{ pattern, module string }

func readModules(dir fs.FS) (*modules, error) {
	ms := &modules{dir: dir, needs: make(map[string][]string), file: make(map[string]string)}
	err := eachLine(dir, "modules.dep", func(line string) {
		file, needs, ok := strings.Cut(line, ":")
		if ok {
			ms.needs[file] = strings.Fields(needs)
			ms.file[moduleName(strings.TrimSuffix(path.Base(file), ".ko"))] = file
		}
	})
	if err != nil {
		return nil, err
	}
	err = eachLine(dir, "modules.alias", func(line string) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "alias" {
			ms.aliases = append(ms.aliases, alias{pattern: moduleName(f[1]), module: moduleName(f[2])})
		}
	})
	return ms, err
}

func eachLine(dir fs.FS, name string, do func(string)) error {
	f, err := dir.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		do(lines.Text())
	}
	return lines.Err()
}

// moduleName is a name as the kernel compares it.
func moduleName(s string) string { return strings.ReplaceAll(s, "-", "_") }

// resolve returns the files to load for a module or alias, in the order in which they must be loaded. Empty: there is
// no such module, or it is built in.
func (ms *modules) resolve(name string) []string {
	name = moduleName(name)
	var files []string
	if file, ok := ms.file[name]; ok {
		return ms.withNeeds(files, file)
	}
	for _, a := range ms.aliases {
		// An alias is a shell pattern (fnmatch(3)) without slashes; a bad one matches nothing.
		if ok, err := path.Match(a.pattern, name); err == nil && ok {
			if file, ok := ms.file[a.module]; ok {
				files = ms.withNeeds(files, file)
			}
		}
	}
	return files
}

func (ms *modules) withNeeds(files []string, file string) []string {
	needs := ms.needs[file]
	for i := len(needs) - 1; i >= 0; i-- {
		files = append(files, needs[i])
	}
	return append(files, file)
}

// load loads one module; one that is loaded already is no error.
func (ms *modules) load(file string) error {
	f, err := ms.dir.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	osFile, ok := f.(*os.File)
	if !ok {
		return fmt.Errorf("%s is not a file of the system", file)
	}
	if err := unix.FinitModule(int(osFile.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}
