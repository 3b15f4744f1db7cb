package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroups lists where name (with its leading slash) is: once with version 2 of control groups, once for each
// hierarchy with version 1.
func cgroups(name string) ([]string, error) {
	nested, err := filepath.Glob(cgroupRoot + "/*" + name)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(cgroupRoot + name); err == nil {
		nested = append(nested, cgroupRoot+name)
	}
	return nested, nil
}

// removeCgroups removes name and all below it, waiting for processes in them that are about to end.
func removeCgroups(name string) error {
	roots, err := cgroups(name)
	if err != nil {
		return err
	}
	var errs []error
	for _, root := range roots {
		var dirs []string
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return err
		})
		errs = append(errs, err)
		for _, dir := range slices.Backward(dirs) { // a directory comes before what it holds
			errs = append(errs, removeDir(dir))
		}
	}
	return errors.Join(errs...)
}

func removeDir(dir string) error {
	if err := untilGone(func() error { return os.Remove(dir) }); err != nil {
		return fmt.Errorf("remove control group: %w", err)
	}
	return nil
}

// untilGone tries to remove something that processes which are about to end may still use.
func untilGone(remove func() error) error {
	const patience = 10 * time.Second
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := remove()
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if time.Now().After(end) {
			return err
		}
	}
}

// BPF are the identifiers of kernel objects that processes hold.
type BPF struct {
	Maps, Programs []int
}

// processes lists the processes of a container, by the identifiers that they have here.
func (e *Engine) processes(containerID string) ([]int, error) {
	dirs, err := cgroups(cgroupName(e.dir) + "/" + containerID)
	if err != nil {
		return nil, err
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("find control group of container %s: %w", containerID, fs.ErrNotExist)
	}
	content, err := os.ReadFile(filepath.Join(dirs[0], "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, field := range strings.Fields(string(content)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		if pid <= 0 { // of a PID namespace that is not below ours; to kill(2) it would mean another thing
			return nil, fmt.Errorf("container %s has a process that cannot be seen from here", containerID)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// Kill sends SIGKILL to all processes of a container. The engine is not told.
func (e *Engine) Kill(containerID string) error {
	pids, err := e.processes(containerID)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("kill process of container %s: %w", containerID, err)
		}
	}
	return nil
}

// BPF lists what the processes of a container hold, with the identifiers that bpftool shows.
func (e *Engine) BPF(containerID string) (BPF, error) {
	pids, err := e.processes(containerID)
	if err != nil {
		return BPF{}, err
	}
	var held BPF
	for _, pid := range pids {
		infos, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
		if err != nil {
			return BPF{}, err
		}
		for _, info := range infos {
			content, err := os.ReadFile(info)
			if errors.Is(err, fs.ErrNotExist) {
				continue // closed meanwhile
			}
			if err != nil {
				return BPF{}, err
			}
			held.add(string(content))
		}
	}
	return held, nil
}

// add reads an fdinfo file, whose lines look like "map_id:\t12" (proc(5), bpf).
func (b *BPF) add(fdinfo string) {
	for line := range strings.Lines(fdinfo) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		id, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil {
			continue
		}
		switch name {
		case "map_id":
			b.Maps = append(b.Maps, id)
		case "prog_id":
			b.Programs = append(b.Programs, id)
		}
	}
	b.Maps, b.Programs = uniq(b.Maps), uniq(b.Programs)
}

func uniq(ids []int) []int {
	slices.Sort(ids)
	return slices.Compact(ids)
}
