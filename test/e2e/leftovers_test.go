package e2e

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab/labtest"
)

func TestNothingIsLeftInTheKernel(t *testing.T) {
	for name, end := range map[string]func(*balancer) error{
		"SIGTERM": func(b *balancer) error { return b.process.Stop(labtest.Context(b.t)) },
		"SIGKILL": func(b *balancer) error { b.process.Kill(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			b := start(t, kernelFlag())
			held, err := labtest.HeldBy(b.process.Pid())
			if err != nil {
				t.Fatal(err)
			}
			if len(held.Programs) == 0 || len(held.Maps) == 0 {
				t.Fatalf("the running waggle holds %d programs and %d maps", len(held.Programs), len(held.Maps))
			}
			if err := end(b); err != nil {
				t.Errorf("waggle ended with %v", err)
			}
			b.eventually("programs and maps are gone", func() error {
				if left := held.Left(); len(left) > 0 {
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
		b.eventually("new connections are refused", func() error {
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
		b.ended("its last connection")
		if err := b.process.Err(); err != nil {
			t.Errorf("waggle ended with %v", err)
		}
	})
}
