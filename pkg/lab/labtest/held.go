package labtest

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
)

// KernelObjects are the ids of the eBPF programs and maps that a process holds.
type KernelObjects struct{ Programs, Maps map[uint32]bool }

// HeldBy lists what a process has descriptors of.
func HeldBy(pid int) (KernelObjects, error) {
	held := KernelObjects{map[uint32]bool{}, map[uint32]bool{}}
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fdinfo/*", pid))
	if err != nil {
		return held, err
	}
	for _, name := range files {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return held, err
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			key, value, _ := strings.Cut(lines.Text(), ":")
			id, err := strconv.ParseUint(strings.TrimSpace(value), 10, 32)
			if err != nil {
				continue
			}
			switch key {
			case "prog_id":
				held.Programs[uint32(id)] = true
			case "map_id":
				held.Maps[uint32(id)] = true
			}
		}
		f.Close()
	}
	return held, nil
}

// Left lists what is still in the kernel.
func (k KernelObjects) Left() []string {
	var left []string
	for id := range k.Programs {
		if p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id)); err == nil {
			p.Close()
			left = append(left, fmt.Sprintf("program %d", id))
		}
	}
	for id := range k.Maps {
		if m, err := ebpf.NewMapFromID(ebpf.MapID(id)); err == nil {
			m.Close()
			left = append(left, fmt.Sprintf("map %d", id))
		}
	}
	return left
}
