package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/labtest"
)

// kernelObjects are the ids of the eBPF programs and maps that a process holds.
type kernelObjects struct{ programs, maps map[uint32]bool }

func heldBy(pid int) (kernelObjects, error) {
	held := kernelObjects{map[uint32]bool{}, map[uint32]bool{}}
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
				held.programs[uint32(id)] = true
			case "map_id":
				held.maps[uint32(id)] = true
			}
		}
		f.Close()
	}
	return held, nil
}

// left lists what is still in the kernel.
func (k kernelObjects) left() []string {
	var left []string
	for id := range k.programs {
		if p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id)); err == nil {
			p.Close()
			left = append(left, fmt.Sprintf("program %d", id))
		}
	}
	for id := range k.maps {
		if m, err := ebpf.NewMapFromID(ebpf.MapID(id)); err == nil {
			m.Close()
			left = append(left, fmt.Sprintf("map %d", id))
		}
	}
	return left
}

func TestNothingIsLeftInTheKernel(t *testing.T) {
	for name, end := range map[string]func(*balancer) error{
		"SIGTERM": func(b *balancer) error { return b.process.Stop(labtest.Context(b.t)) },
		"SIGKILL": func(b *balancer) error { b.process.Kill(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, "--datapath=tc")
			held, err := heldBy(b.process.Pid())
			if err != nil {
				t.Fatal(err)
			}
			if len(held.programs) == 0 || len(held.maps) == 0 {
				t.Fatalf("the running waggle holds %d programs and %d maps", len(held.programs), len(held.maps))
			}
			if err := end(b); err != nil {
				t.Errorf("waggle ended with %v", err)
			}
			b.eventually(5*time.Second, "programs and maps are gone", func() error {
				if left := held.left(); len(left) > 0 {
					return fmt.Errorf("still there: %v", left)
				}
				return nil
			})
		})
	}
}

// TestSoftStop holds a connection on each path, asks for a soft stop, and expects both to carry on, new
// connections to be refused, and the process to end by itself when they have ended.
func TestSoftStop(t *testing.T) {
	modes(t, func(t *testing.T, b *balancer, _ bool) {
		held := b.echo(t)
		if err := b.process.Signal(unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		b.eventually(3*time.Second, "new connections are refused", func() error {
			for _, port := range []int{httpPort, tcpPort} {
				if conn, err := b.dial(port); err == nil {
					conn.Close()
					return fmt.Errorf("port %d accepts", port)
				}
			}
			return nil
		})
		if err := held.round(); err != nil {
			t.Errorf("the open connection broke: %v", err)
		}
		select {
		case <-b.process.Done():
			t.Fatal("waggle ended while a connection was open")
		default:
		}
		held.conn.Close()
		select {
		case <-b.process.Done():
		case <-time.After(5 * time.Second):
			t.Fatal("waggle did not end after its last connection")
		}
		if err := b.process.Err(); err != nil {
			t.Errorf("waggle ended with %v", err)
		}
	})
}
