package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

// hold keeps connections to the raw tasks busy until stop, and counts those that break.
func (b *balancer) hold(t *testing.T, n int) (stop func() []error) {
	t.Helper()
	var held []*echo
	for range n {
		held = append(held, b.echo(t))
		if err := held[len(held)-1].conn.(net.Conn).SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
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
		before := b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="tcp_in"`)
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
		if after := b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="tcp_in"`); after < before {
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
	b.eventually(10*time.Second, "it is ready", func() error {
		if !strings.Contains(b.process.Output(), "waggle is ready") {
			return errors.New(b.process.Output())
		}
		return nil
	})
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

// Another version's pins: with auto the old flows live on and userspace serves; with tc the start fails, and says what to do.
func TestPinsOfAnotherVersion(t *testing.T) {
	l := newLab(t, lab.Options{Tasks: 3, StopDelay: swarmStopDelay})
	dir := mountPins(t)
	other := filepath.Join(dir, "layout-0123456789ab")
	if err := os.MkdirAll(other, 0o700); err != nil {
		t.Fatal(err)
	}
	b := startIn(t, l, "--pin-dir="+dir)
	if b.metric("waggle_datapath_mode", `mode="off"`) != 1 || b.metric("waggle_datapath_degradations", "") == 0 {
		t.Error("it does not say that the kernel path is off")
	}
	if out := b.process.Output(); !strings.Contains(out, "rm -r "+other) {
		t.Errorf("it does not say what to do:\n%s", out)
	}
	if err := b.process.Stop(labtest.Context(t)); err != nil {
		t.Error(err)
	}
	b.run("--pin-dir="+dir, kernelFlag())
	select {
	case <-b.process.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("it runs")
	}
	if b.process.Err() == nil || !strings.Contains(b.process.Output(), "rm -r "+other) {
		t.Errorf("ended with %v:\n%s", b.process.Err(), b.process.Output())
	}
	if _, err := os.Stat(other); err != nil {
		t.Error(errors.Join(err, errors.New("the pins of the other version are touched")))
	}
}
