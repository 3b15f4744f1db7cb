package soak

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"waggle/pkg/lab/labtest"
)

// memoryLimit is the memory that waggle may use in its control group, in bytes: with more it would be killed.
const memoryLimit = 96 << 20

// confine puts a process into a control group of its own, which is removed by its path when the process has ended.
func confine(pid int, limit int64) (group string, err error) {
	root, file := "/sys/fs/cgroup", "memory.max"
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err == nil { // version 1
		root, file = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	}
	group = filepath.Join(root, "wg-soak-"+strconv.Itoa(pid))
	if err := os.Mkdir(group, 0o755); err != nil {
		return "", err
	}
	for _, set := range []struct {
		name  string
		value int64
	}{{file, limit}, {"cgroup.procs", int64(pid)}} { // in this order: a group with a process in it cannot be removed
		if err := os.WriteFile(filepath.Join(group, set.name), strconv.AppendInt(nil, set.value, 10), 0); err != nil {
			return "", fmt.Errorf("%w (and %v)", err, os.Remove(group))
		}
	}
	return group, nil
}

// footprint is what the process holds.
type footprint struct {
	Files               files
	Threads, Goroutines int
	Maps, Programs      int
	Sessions            int // of frontends, on both paths, without the one that asks
	Flows, Ports        int // entries of the flow table and source ports in use, those held after the end included
	Resident, Heap      int // bytes
}

func (s *stage) footprint(ctx context.Context) (f footprint, err error) {
	m, err := s.metrics(ctx)
	if err != nil {
		return f, err
	}
	kinds, err := openFiles(s.process.Pid())
	if err != nil {
		return f, err
	}
	held, err := labtest.HeldBy(s.process.Pid())
	if err != nil {
		return f, err
	}
	status, err := processStatus(s.process.Pid())
	if err != nil {
		return f, err
	}
	return footprint{
		Files: kinds, Threads: status["Threads"], Goroutines: int(m["go_goroutines"]),
		Maps: len(held.Maps), Programs: len(held.Programs),
		Sessions: int(m["waggle_frontend_current_sessions"]) - 1,
		Flows:    int(m[`waggle_datapath_map_entries{map="wg_flows"}`]),
		Ports:    int(m["waggle_datapath_source_ports_used"]),
		Resident: status["VmRSS"] << 10, Heap: int(m["go_memstats_heap_alloc_bytes"]),
	}, nil
}

// files counts open files by what they are: "socket", "anon_inode:[eventpoll]" or a path.
type files map[string]int

func openFiles(pid int) (files, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	f := make(files)
	for _, e := range entries {
		kind, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil { // closed meanwhile
			continue
		}
		if name, _, numbered := strings.Cut(kind, ":["); numbered && name != "anon_inode" {
			kind = name
		}
		f[kind]++
	}
	return f, nil
}

func (f files) sum() (n int) {
	for _, k := range f {
		n += k
	}
	return n
}

// processStatus returns the numbers of /proc/PID/status: memory in kB.
func processStatus(pid int) (map[string]int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	values := make(map[string]int)
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		if fields := strings.Fields(value); len(fields) > 0 {
			if n, err := strconv.Atoi(fields[0]); err == nil {
				values[key] = n
			}
		}
	}
	return values, nil
}

// leaks lists what f has more of than before. Files may be more by the few connections that wait to be used again. The
// runtime keeps threads once made, and gives memory back when it finds time, so these have room.
func (f footprint) leaks(before footprint) (found []string) {
	for _, c := range []struct {
		name        string
		now, before int
		slack       int
	}{
		{"file descriptors", f.Files.sum(), before.Files.sum(), 8},
		{"threads", f.Threads, before.Threads, 16 + runtime.NumCPU()}, // as many may run at once
		{"goroutines", f.Goroutines, before.Goroutines, 2},
		{"maps", f.Maps, before.Maps, 0},
		{"programs", f.Programs, before.Programs, 0},
		{"sessions", f.Sessions, before.Sessions, 0},
		{"flows", f.Flows, before.Flows, 0},
		{"source ports", f.Ports, before.Ports, 0},
		{"bytes of resident memory", f.Resident, before.Resident, before.Resident/4 + 16<<20},
		{"bytes of heap", f.Heap, before.Heap, before.Heap/4 + 8<<20},
	} {
		if c.now > c.before+c.slack {
			found = append(found, fmt.Sprintf("%d %s, before %d", c.now, c.name, c.before))
		}
	}
	if len(found) > 0 {
		found = append(found, fmt.Sprintf("files %v, before %v", f.Files, before.Files))
	}
	return found
}
