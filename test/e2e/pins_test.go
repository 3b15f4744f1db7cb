package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
)

// mountPins mounts a BPF file system for the processes of a test.
func mountPins(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("bpf", dir, "bpf", 0, "mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(dir, "waggle")
}

// pinned is a balancer whose kernel path outlives it.
func pinned(t *testing.T, flags ...string) (b *balancer, dir string) {
	t.Helper()
	l := newLab(t, lab.Options{Tasks: 3, StopDelay: swarmStopDelay})
	dir = mountPins(t)
	flags = append([]string{"--pin-dir=" + dir, kernelFlag()}, flags...)
	b = startIn(t, l, flags...)
	b.again = func() { b.run(flags...) }
	return b, dir
}

// hold keeps connections to the raw tasks busy until stop, and counts those that break. The kernel path carries all of them.
func (b *balancer) hold(t *testing.T, n int) (stop func() []error) {
	t.Helper()
	b.eventually(10*time.Second, "the kernel path takes connections", func() error {
		before := b.kernelSessions()
		if _, err := b.rawName(); err != nil {
			return err
		}
		if b.kernelSessions() == before {
			return errors.New("userspace had it")
		}
		return nil
	})
	before := b.kernelSessions()
	var held []*echo
	for range n {
		held = append(held, b.echo(t))
		if err := held[len(held)-1].conn.(net.Conn).SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.kernelSessions() - before; got != float64(n) {
		t.Fatalf("the kernel path carries %v of %d connections", got, n)
	}
	ended := make(chan struct{})
	var busy sync.WaitGroup
	var mu sync.Mutex
	var broken []error
	for _, e := range held {
		busy.Go(func() {
			for {
				select {
				case <-ended:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if err := e.round(); err != nil {
					mu.Lock()
					broken = append(broken, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	return func() []error {
		close(ended)
		busy.Wait()
		for _, e := range held {
			e.conn.Close()
		}
		return broken
	}
}

// Killed again and again under load: what is established goes on all along, new connections are served within a second
// of the restart, and what was counted stays counted.
func TestKilledAgentLosesNoConnection(t *testing.T) {
	b, _ := pinned(t)
	release := b.hold(t, 30)
	for range 4 {
		before := b.kernelSessions()
		b.process.Kill()
		time.Sleep(300 * time.Millisecond) // as long as a restart takes at least
		began := time.Now()
		b.again()
		b.eventually(time.Second, "new connections are served", func() error {
			_, err := b.rawName()
			return err
		})
		t.Logf("served %s after the start", time.Since(began).Round(time.Millisecond))
		b.eventually(5*time.Second, "the statistics are there", func() error {
			_, _, err := b.get(statsPort, "/metrics")
			return err
		})
		if after := b.kernelSessions(); after < before {
			t.Errorf("%v sessions, %v before the kill", after, before)
		}
	}
	for _, err := range release() {
		t.Error("a connection broke:", err)
	}
	if err := b.process.Stop(labtest.Context(t)); err != nil {
		t.Error(err)
	}
}

// A crash loop: killed ten times, mostly in the middle of its start. Each one takes over what the one before has left, whatever
// it had done by then.
func TestCrashLoopLosesNoConnection(t *testing.T) {
	b, dir := pinned(t)
	release := b.hold(t, 20)
	for n, life := range []time.Duration{0, 20, 40, 60, 80, 120, 160, 10, 200, 30} { // milliseconds; ready after about 100
		b.process.Kill()
		b.again()
		time.Sleep(life * time.Millisecond)
		if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
			t.Fatalf("kill %d: pins %v, %v", n, left, err)
		}
	}
	b.process.Kill()
	b.again()
	b.ready()
	if _, err := b.rawName(); err != nil {
		t.Error("a new connection:", err)
	}
	for _, err := range release() {
		t.Error("a connection broke:", err)
	}
	if out := b.process.Output(); !strings.Contains(out, "taken over") {
		t.Errorf("the last one has not taken over:\n%s", out)
	}
	if err := b.process.Stop(labtest.Context(t)); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("a clean stop leaves %v, %v", left, err)
	}
}

// A clean stop takes all away. With --keep-datapath it leaves the kernel path to whoever follows.
func TestCleanStopUnpinsUnlessAskedToKeep(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("keep=%v", keep), func(t *testing.T) {
			var flags []string
			if keep {
				flags = append(flags, "--keep-datapath")
			}
			b, dir := pinned(t, flags...)
			held := b.echo(t)
			if err := b.process.Stop(labtest.Context(t)); err != nil {
				t.Fatal(err)
			}
			left, err := os.ReadDir(dir)
			if err != nil || (len(left) > 0) != keep {
				t.Errorf("left: %v, %v", left, err)
			}
			if err := held.round(); (err == nil) != keep {
				t.Errorf("the open connection: %v", err)
			}
			if !keep {
				return
			}
			b.again()
			b.eventually(5*time.Second, "new connections are served", func() error { _, err := b.rawName(); return err })
			if err := held.round(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A new version of the image whose maps look different starts like any other: what the one before has left is removed.
func TestPinsOfAnotherVersion(t *testing.T) {
	b, dir := pinned(t)
	b.process.Kill()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Fatalf("left: %v, %v", left, err)
	}
	if err := os.Rename(filepath.Join(dir, left[0].Name()), filepath.Join(dir, "layout-0123456789ab")); err != nil {
		t.Fatal(err)
	}
	b.again()
	b.ready()
	b.eventually(10*time.Second, "new connections are served", func() error { _, err := b.rawName(); return err })
	before := b.kernelSessions()
	if _, err := b.rawName(); err != nil {
		t.Fatal(err)
	}
	b.eventually(5*time.Second, "the kernel path serves", func() error {
		if now := b.kernelSessions(); now <= before {
			return fmt.Errorf("%v sessions, %v before", now, before)
		}
		return nil
	})
	if out := b.process.Output(); strings.Count(out, "that of another version of waggle") != 1 || strings.Contains(out, "rm -r") {
		t.Errorf("it says:\n%s", out)
	}
	if now, err := os.ReadDir(dir); err != nil || len(now) != 1 || now[0].Name() != left[0].Name() {
		t.Errorf("pins %v, %v", now, err)
	}
	if err := b.process.Stop(labtest.Context(t)); err != nil {
		t.Error(err)
	}
}

const successorConfig = `
defaults
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend tcp_in
    mode tcp
    bind *:8001
    default_backend raw
backend raw
    mode tcp
    server one %s
    server two %s
frontend stats_in
    mode http
    bind *:8404
    http-request use-service prometheus-exporter
`

// As with -sf the old process drains while the new one serves. The new one has the kernel path as soon as the old one has ended,
// also where it was told that there must be one.
func TestASuccessorTakesThePins(t *testing.T) {
	b := &balancer{Lab: newLab(t, lab.Options{}), t: t}
	tasks, dir := b.rawTasks(2), mountPins(t)
	start := func(flags ...string) {
		c := b.command(append([]string{"run", "-f", lab.FilesDir + "/haproxy.cfg", "--pin-dir=" + dir, kernelFlag()}, flags...)...)
		c.Files = map[string][]byte{"haproxy.cfg": fmt.Appendf(nil, successorConfig, tasks[0].Endpoint(), tasks[1].Endpoint())}
		b.execute(c)
		b.ready()
	}
	start()
	old := b.process
	held := b.echo(t)
	start("-sf", "999999") // a process that there is not in its namespace; the old one is told below
	const waits, takes = "until another waggle lets go of the pins", "the kernel path is in use"
	if out := b.process.Output(); strings.Count(out, waits) != 1 || strings.Contains(out, takes) {
		t.Errorf("it does not say that it waits:\n%s", out)
	}
	if err := old.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	b.eventually(5*time.Second, "the new one serves", func() error {
		_, err := b.rawName()
		if err == nil && b.metric("waggle_datapath_mode", `mode="off"`) != 1 {
			err = errors.New("the kernel path of the old one answers")
		}
		return err
	})
	if err := held.round(); err != nil {
		t.Error("the old one's connection:", err)
	}
	held.conn.Close()
	b.eventually(10*time.Second, "the new one has the kernel path", func() error {
		if !strings.Contains(b.process.Output(), takes) {
			return errors.New(b.process.Output())
		}
		return nil
	})
	if err := b.shares(b.rawName, 6, "hostname: raw-1", "hostname: raw-2"); err != nil {
		t.Error(err)
	}
	b.eventually(5*time.Second, "they went by it", func() error {
		if n := b.kernelSessions(); n < 6 {
			return fmt.Errorf("%v sessions", n)
		}
		return nil
	})
	if err := b.process.Stop(labtest.Context(t)); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("a clean stop leaves %v, %v", left, err)
	}
}
