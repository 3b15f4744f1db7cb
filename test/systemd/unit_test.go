// Package systemd runs deploy/waggle.service under a real systemd, booted by systemd-nspawn in a lab.
package systemd

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
	"waggle/test/program"
)

func TestMain(m *testing.M) {
	program.Main()
	os.Exit(m.Run())
}

// config has one frontend on each path, to the same tasks; %s is their server lines. The kernel counts no addresses one by one,
// so option socket-stats keeps the second one in userspace.
const config = `
global
    stats socket /run/waggle/haproxy.sock mode 600 level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
frontend kernel
    bind :5000
    default_backend tasks
frontend userspace
    bind :5001
    option socket-stats
    default_backend tasks
backend tasks
%s`

const (
	kernelPort    = 5000
	userspacePort = 5001
	reloadedPort  = 5002
)

// TestUnitUnderSystemd takes the unit through its life, with connections held on both paths all along.
func TestUnitUnderSystemd(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 2, Kind: lab.TCP})
	m := bootIn(t, l)
	var servers strings.Builder
	for i, task := range l.Tasks("web") {
		fmt.Fprintf(&servers, "    server t%d %s check inter 200ms\n", i, task.Endpoint())
	}
	now := fmt.Sprintf(config, servers.String())
	m.write("etc/waggle/haproxy.cfg", now)

	m.do("systemctl", "start", "waggle")
	m.hasItsRights()
	kernel, userspace := m.hold(kernelPort), m.hold(userspacePort)
	m.takenByTheKernel()

	// A reload: nothing is lost, and a file that is wrong is refused with the reason.
	fresh := m.connectAllTheTime(kernelPort, userspacePort)
	m.write("etc/waggle/haproxy.cfg", now+fmt.Sprintf("frontend more\n    bind :%d\n    default_backend tasks\n", reloadedPort))
	m.do("systemctl", "reload", "waggle")
	m.eventually("the new frontend is there", func() error { return m.name(reloadedPort) })
	m.write("etc/waggle/haproxy.cfg", now+"    bogus\n")
	if out, err := m.try("systemctl", "reload", "waggle"); err == nil {
		t.Error("a configuration with a mistake was reloaded:", out)
	}
	m.eventually("the journal says what is wrong", func() error {
		if said := m.journal(); !strings.Contains(said, "unknown keyword 'bogus'") {
			return errors.New(said)
		}
		return nil
	})
	m.write("etc/waggle/haproxy.cfg", now)
	m.do("systemctl", "reload", "waggle")
	for _, err := range fresh() {
		t.Error("a connection failed while the unit was reloaded:", err)
	}
	kernel.mustLive("over reloads")
	userspace.mustLive("over reloads")

	// A crash: the kernel's connections go on, and systemd starts the unit again.
	m.do("systemctl", "kill", "--signal=KILL", "waggle")
	m.eventually("the restart after a crash", func() error {
		if m.property("NRestarts") != "1" || m.property("ActiveState") != "active" {
			return errors.New(m.journal())
		}
		return nil
	})
	kernel.mustLive("over a crash")
	userspace.mustEnd()

	// A restart: connections of userspace may end for 5 s, then they are cut.
	userspace = m.hold(userspacePort)
	began := time.Now()
	m.do("systemctl", "restart", "waggle")
	took := time.Since(began)
	t.Log("the restart took", took.Round(time.Millisecond))
	if took < 5*time.Second {
		t.Errorf("the restart took %s: connections got no time to end", took)
	}
	userspace.mustEnd()
	kernel.mustLive("over a restart")
	m.takenByTheKernel()
	if err := m.name(userspacePort); err != nil {
		t.Error(err)
	}

	m.stopsForGood(kernel)
}

// hasItsRights looks at the process: a user of its own, five capabilities, and the kernel path.
func (m *machine) hasItsRights() {
	m.t.Helper()
	pids, err := m.processes("payload/system.slice/waggle.service")
	if err != nil {
		m.t.Fatal(err)
	}
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pids[0]))
	if err != nil {
		m.t.Fatal(err)
	}
	status := map[string]string{}
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(line, ":")
		status[key] = strings.TrimSpace(value)
	}
	if strings.HasPrefix(status["Uid"], "0") {
		m.t.Error("it runs as root")
	}
	const capabilities = 1<<unix.CAP_NET_BIND_SERVICE | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_PERFMON | 1<<unix.CAP_BPF
	want := fmt.Sprintf("%016x", uint64(capabilities))
	for _, set := range []string{"CapPrm", "CapEff", "CapBnd"} {
		if status[set] != want {
			m.t.Errorf("%s is %s, want %s", set, status[set], want)
		}
	}
	if status["NoNewPrivs"] != "1" || status["Seccomp"] != "2" {
		m.t.Errorf("no_new_privs %s, seccomp %s", status["NoNewPrivs"], status["Seccomp"])
	}
	if text := m.property("StatusText"); !strings.HasSuffix(text, "kernel path tc") {
		m.t.Errorf("status is %q\n%s", text, m.journal())
	}
}

// stopsForGood stops the unit, whose kernel path lives on with its connection until its pins are removed as the unit says.
func (m *machine) stopsForGood(kernel *held) {
	m.t.Helper()
	pids, err := m.processes("payload/system.slice/waggle.service")
	if err != nil {
		m.t.Fatal(err)
	}
	objects, err := labtest.HeldBy(pids[0])
	if err != nil || len(objects.Programs) == 0 {
		m.t.Fatal("eBPF objects:", objects, err)
	}
	m.do("systemctl", "stop", "waggle")
	if state, result := m.property("ActiveState"), m.property("Result"); state != "inactive" || result != "success" {
		m.t.Errorf("after the stop: %s, %s", state, result)
	}
	kernel.mustLive("over a stop")
	if err := m.name(userspacePort); err == nil {
		m.t.Error("it is served after the stop")
	}
	m.do("rm", "-r", "/sys/fs/bpf/waggle")
	m.eventually("the kernel path ends", func() error {
		if left := objects.Left(); len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
}

// takenByTheKernel demands that a new connection is none of userspace.
func (m *machine) takenByTheKernel() {
	m.t.Helper()
	m.eventually("the kernel path takes connections", func() error {
		h := m.hold(kernelPort)
		defer h.conn.Close()
		client := h.conn.LocalAddr().String()
		flows := m.do("env", "WAGGLE_TEST_PROGRAM=1", "/usr/local/sbin/waggle", "flows", "client", client)
		if !strings.Contains(flows, client) {
			return fmt.Errorf("%s is not among the flows:\n%s", client, flows)
		}
		return nil
	})
}

// dial connects from the client.
func (m *machine) dial(port int, command string) (net.Conn, *bufio.Reader, error) {
	conn, err := m.Client.DialContext(labtest.Context(m.t), "tcp4", m.Balancer.Endpoint(port))
	if err != nil {
		return nil, nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute)) // some are held all along
	_, err = fmt.Fprintln(conn, command)
	return conn, bufio.NewReader(conn), err
}

// name asks a task for its name over a connection of its own.
func (m *machine) name(port int) error {
	conn, answer, err := m.dial(port, "hostname")
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = answer.ReadString('\n')
	return err
}

// held is a connection to a task that returns what it gets.
type held struct {
	t    *testing.T
	conn net.Conn
	back *bufio.Reader
}

func (m *machine) hold(port int) *held {
	m.t.Helper()
	conn, back, err := m.dial(port, "echo")
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { conn.Close() })
	h := &held{m.t, conn, back}
	h.mustLive("at first")
	return h
}

func (h *held) mustLive(when string) {
	h.t.Helper()
	_, err := fmt.Fprintln(h.conn, when)
	if err == nil {
		_, err = h.back.ReadString('\n')
	}
	if err != nil {
		h.t.Fatalf("a connection broke %s: %v", when, err)
	}
}

// mustEnd demands that it has ended or does so now.
func (h *held) mustEnd() {
	h.t.Helper()
	_ = h.conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := h.back.ReadString('\n'); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		h.t.Errorf("the connection has not ended: %v", err)
	}
}

// connectAllTheTime makes one connection after the other to each port until the function that it returns is called, which
// returns what failed.
func (m *machine) connectAllTheTime(ports ...int) func() []error {
	var over atomic.Bool
	var mu sync.Mutex
	var failed []error
	var busy sync.WaitGroup
	for _, port := range ports {
		busy.Go(func() {
			for !over.Load() {
				if err := m.name(port); err != nil {
					mu.Lock()
					failed = append(failed, fmt.Errorf("port %d: %w", port, err))
					mu.Unlock()
				}
			}
		})
	}
	return func() []error {
		over.Store(true)
		busy.Wait()
		return failed
	}
}
