package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/http"
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
	b.eventually("the kernel path takes connections", func() error {
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
		if err := held[len(held)-1].conn.(net.Conn).SetDeadline(time.Now().Add(4 * patience)); err != nil {
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
// of the restart (where the machine lets it start in that time: at least once), and what was counted stays counted.
func TestKilledAgentLosesNoConnection(t *testing.T) {
	b, _ := pinned(t)
	release := b.hold(t, 30)
	quickest := patience
	for range 4 {
		before := b.kernelSessions()
		b.process.Kill()
		time.Sleep(300 * time.Millisecond) // as long as a restart takes at least
		began := time.Now()
		b.again()
		b.eventually("new connections are served", func() error {
			_, err := b.rawName()
			return err
		})
		took := time.Since(began)
		quickest = min(quickest, took)
		t.Logf("served %s after the start", took.Round(time.Millisecond))
		b.eventually("the statistics are there", func() error {
			_, _, err := b.get(statsPort, "/metrics")
			return err
		})
		if after := b.kernelSessions(); after < before {
			t.Errorf("%v sessions, %v before the kill", after, before)
		}
	}
	if quickest > time.Second {
		t.Errorf("new connections were served %s after the start at best", quickest)
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
	b.wrote("taken over")
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
			b.eventually("new connections are served", func() error { _, err := b.rawName(); return err })
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
	b.eventually("new connections are served", func() error { _, err := b.rawName(); return err })
	before := b.kernelSessions()
	if _, err := b.rawName(); err != nil {
		t.Fatal(err)
	}
	b.eventually("the kernel path serves", func() error {
		if now := b.kernelSessions(); now <= before {
			return fmt.Errorf("%v sessions, %v before", now, before)
		}
		return nil
	})
	const another = "that of another version of waggle"
	b.wrote(another)
	if out := b.process.Output(); strings.Count(out, another) != 1 || strings.Contains(out, "rm -r") {
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
		c := b.command(append([]string{"run", "-f", lab.FilesDir + "/haproxy.cfg", "--pin-dir=" + dir, kernelFlag(), "--health-address=0.0.0.0:8405"}, flags...)...)
		c.Files = map[string][]byte{"haproxy.cfg": fmt.Appendf(nil, successorConfig, tasks[0].Endpoint(), tasks[1].Endpoint())}
		b.execute(c)
		b.ready()
	}
	start()
	old := b.process
	held := b.echo(t)
	start("-sf", "999999") // a process that there is not in its namespace; the old one is told below
	const waits, takes = "until another waggle lets go of the pins", "the kernel path is in use"
	b.wrote(waits)
	if out := b.process.Output(); strings.Count(out, waits) != 1 || strings.Contains(out, takes) {
		t.Errorf("it does not say that it waits:\n%s", out)
	}
	if err := old.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	b.eventually("the new one serves", func() error {
		_, err := b.rawName()
		if err == nil && b.metric("waggle_datapath_mode", `mode="off"`) != 1 {
			err = errors.New("the kernel path of the old one answers")
		}
		return err
	})
	if err := held.round(); err != nil {
		t.Error("the old one's connection:", err)
	}
	for range 20 { // although the old one still is there
		status, _, err := b.get(readyPort, "/readyz")
		if errors.Is(err, syscall.ECONNRESET) { // it was in the middle of the handshake with the old one, whose socket was closed just then
			status, _, err = b.get(readyPort, "/readyz")
		}
		if err != nil || status != http.StatusOK {
			t.Errorf("/readyz: %d, %v", status, err)
		}
	}
	held.conn.Close()
	b.wrote(takes)
	if err := b.shares(b.rawName, 6, "hostname: raw-1", "hostname: raw-2"); err != nil {
		t.Error(err)
	}
	b.eventually("they went by it", func() error {
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

// takenConfig is that of a process with a port for the Runtime API, servers, and another frontend than tcp_in.
const takenConfig = `
global
    stats socket ipv4@127.0.0.1:%d level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend tcp_in
    bind *:8001
    default_backend raw
backend raw
%sfrontend %s
    bind *:%d
    default_backend raw
`

// A process that waits for the pins knows the names that their owner has given to the kernel path until then. What the owner adds
// afterwards, and by the same number, is not taken for one of its own when it takes over; what has its name is, by whatever number.
func TestASuccessorKnowsWhoseFlowsItTakes(t *testing.T) {
	b := &balancer{Lab: newLab(t, lab.Options{}), t: t}
	tasks, dir, file := b.rawTasks(3), mountPins(t), filepath.Join(t.TempDir(), "haproxy.cfg")
	line := func(name string, n int) string { return fmt.Sprintf("    server %s %s\n", name, tasks[n].Endpoint()) }
	two := line("one", 0) + line("two", 1)
	start := func(config string, flags ...string) *lab.Process {
		b.rewrite(file, config)
		b.execute(b.command(append([]string{"run", "-f", file, "--pin-dir=" + dir, kernelFlag()}, flags...)...))
		b.ready()
		return b.process
	}
	owner := start(fmt.Sprintf(takenConfig, 9999, two, "before_in", 8002))
	start(fmt.Sprintf(takenConfig, 9998, two+line("three", 2), "new_in", 8004), "-sf", "999999")

	b.rewrite(file, fmt.Sprintf(takenConfig, 9999, two, "before_in", 8002)+"frontend later_in\n    bind *:8003\n    default_backend raw\n")
	if err := owner.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	b.eventually("the reload", func() error {
		if !strings.Contains(owner.Output(), "the configuration was loaded") {
			return errors.New(owner.Output())
		}
		return nil
	})
	use := func(name string, port int, commands ...string) *echo {
		t.Helper()
		for _, c := range commands {
			if answer, err := b.runtime(c); err != nil || strings.Contains(answer, "rror") {
				t.Fatalf("%s: %v, %s", c, err, answer)
			}
		}
		var e *echo
		b.eventually("the kernel path carries a connection", func() error { // it follows the commands a moment later
			conn, err := b.dial(port)
			if err != nil {
				return err
			}
			fmt.Fprintln(conn, "echo")
			e = &echo{conn: conn}
			err = e.round()
			if err == nil && !b.carries(conn.LocalAddr().String(), name) {
				err = errors.New("the kernel does not carry it to this server")
			}
			if err != nil {
				conn.Close()
				return fmt.Errorf("to %s: %w", name, err)
			}
			t.Cleanup(func() { conn.Close() })
			return nil
		})
		return e
	}
	extra := use("extra", 8003, "disable server raw/one", "disable server raw/two", "add server raw/extra "+tasks[2].Endpoint().String(), "enable server raw/extra")
	again := use("two", tcpPort, "disable server raw/extra", "del server raw/two", "add server raw/two "+tasks[1].Endpoint().String(), "enable server raw/two")
	owner.Kill()
	b.wrote("the kernel path is in use")

	sessions := func(of string) (n string) {
		t.Helper()
		rows, err := b.runtimeAt(9998, "show stat")
		if err != nil {
			t.Fatal(err)
		}
		for row := range strings.Lines(rows) {
			if strings.HasPrefix(row, of+",") {
				n = strings.Split(row, ",")[4]
			}
		}
		return n
	}
	b.eventually("its rows have what is theirs", func() error {
		var got []string
		for _, of := range []string{"tcp_in,FRONTEND", "new_in,FRONTEND", "raw,one", "raw,two", "raw,three", "raw,BACKEND"} {
			got = append(got, sessions(of))
		}
		if want := "1 0 0 1 0 2"; strings.Join(got, " ") != want {
			return fmt.Errorf("current sessions %v, want %s", got, want)
		}
		return nil
	})
	for _, server := range []string{"one", "three", "two"} {
		if answer, err := b.runtimeAt(9998, "shutdown sessions server raw/"+server); err != nil || strings.TrimSpace(answer) != "" {
			t.Errorf("%v, %q", err, answer)
		}
		if err := extra.round(); err != nil {
			t.Errorf("the end of the sessions of server %s ends that of extra: %v", server, err)
		}
		if err := again.round(); (err != nil) != (server == "two") {
			t.Errorf("the end of the sessions of server %s: that of two says %v", server, err)
		}
	}
	if err := b.process.Stop(labtest.Context(t)); err != nil {
		t.Error(err)
	}
}

// carries says whether the kernel path carries a client's connection to a server of that name.
func (b *balancer) carries(client, server string) bool {
	b.t.Helper()
	answer, err := b.runtime("show sess")
	if err != nil {
		b.t.Fatal(err)
	}
	for line := range strings.Lines(answer) {
		if strings.Contains(line, " src="+client+" ") && strings.Contains(line, " srv="+server+" ") && strings.Contains(line, " path=kernel ") {
			return true
		}
	}
	return false
}
