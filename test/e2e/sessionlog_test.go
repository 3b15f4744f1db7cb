package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/lab"
)

// loggedConfig logs the sessions of two frontends, in each of the two forms of a TCP line.
const loggedConfig = `
global
    stats socket ipv4@127.0.0.1:9999 level admin
frontend metrics
    mode http
    timeout client 10s
    bind *:8404
    http-request use-service prometheus-exporter if { path /metrics }
defaults
    mode tcp
    log stdout format raw local0
    timeout connect 1s
    timeout client 3s
    timeout server 6s
frontend plain_in
    bind *:8001
    default_backend raw
frontend detailed_in
    bind *:8002
    option tcplog
    default_backend raw
frontend refused_in
    bind *:8003
    option tcplog
    default_backend nobody
backend raw
    server one %s:8000
backend nobody
    retries 0
    server two %s:1
listen silent_in
    bind *:8005
    option tcplog
    retries 1
    server four %s:%d
listen checked_in
    bind *:8004
    option tcplog
    timeout client 1h
    timeout server 1h
    server three %s:8000 check inter 500ms fall 2 on-marked-down shutdown-sessions
`

// logged is a waggle that logs sessions of a task.
type logged struct {
	*balancer
	task *lab.Task
}

func startLogged(t *testing.T, datapath string) *logged {
	t.Helper()
	b := &logged{balancer: &balancer{Lab: newLab(t, lab.Options{}), t: t}}
	b.task = b.rawTasks(1)[0]
	b.runConfig("--datapath="+datapath, loggedConfig, b.task.Addr(), b.task.Addr(), b.task.Addr(), silentPort, b.task.Addr())
	b.silence(b.task)
	b.ready()
	return b
}

const silentPort = 8005

// silence has SYNs to a port of the task stay without an answer: the accept queue of its listener is full, of one connection.
func (b *logged) silence(task *lab.Task) {
	b.t.Helper()
	fd := -1
	err := task.Do(func() (err error) {
		if fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Port: silentPort}), syscall.Listen(fd, 0))
	})
	if fd >= 0 {
		b.t.Cleanup(func() { syscall.Close(fd) })
	}
	if err != nil {
		b.t.Fatal(err)
	}
	conn, err := task.DialContext(b.t.Context(), "tcp4", fmt.Sprintf("127.0.0.1:%d", silentPort))
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
}

// to connects to a port and says something.
func (b *logged) to(port int, words string) *net.TCPConn {
	b.t.Helper()
	conn, err := b.dial(port)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, words); err != nil {
		b.t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// lines waits until n sessions were logged and returns their lines, in order of the client's port.
func (b *logged) lines(n int) (lines []string) {
	b.t.Helper()
	b.eventually(fmt.Sprintf("%d lines", n), func() error {
		lines = nil
		for line := range strings.Lines(b.process.Output()) {
			if strings.Contains(line, b.Client.Addr().String()) {
				lines = append(lines, strings.TrimSuffix(line, "\n"))
			}
		}
		if len(lines) != n {
			return fmt.Errorf("there are %d: %q", len(lines), lines)
		}
		return nil
	})
	return lines
}

// The same sessions end in the same ways on both paths, and give the same lines but for client ports and times.
func TestSessionLinesOfBothPathsAreEqual(t *testing.T) {
	var all [2][]string
	for i, datapath := range []string{kernelMode(), "off"} {
		t.Run("datapath "+datapath, func(t *testing.T) { all[i] = sessions(startLogged(t, datapath), datapath != "off") })
	}
	if t.Failed() {
		return
	}
	slices.Sort(all[0])
	slices.Sort(all[1])
	for _, line := range all[0] {
		t.Log(line)
	}
	if !slices.Equal(all[0], all[1]) {
		t.Errorf("the kernel path logs\n%s\nuserspace\n%s", strings.Join(all[0], "\n"), strings.Join(all[1], "\n"))
	}
}

// sessions has one session after the other end in different ways, and returns the lines without what must differ.
func sessions(b *logged, kernel bool) []string {
	t, logged := b.t, 0
	next := func() { // one at a time, so that the counts of concurrent sessions are known
		t.Helper()
		logged++
		b.lines(logged)
		b.eventually("no session is open", func() error {
			info, err := b.runtime("show info")
			if err == nil && !strings.Contains(info, "\nCurrConns: 0\n") {
				err = errors.New("there is one")
			}
			return err
		})
	}
	for _, port := range []int{8001, 8002} {
		conn := b.to(port, "bytes 100000\n")
		if n, err := io.Copy(io.Discard, conn); n != 100000 || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
		conn.Close()
		next()
	}
	// The client closes first.
	conn := b.to(8002, "echo\nhello")
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(conn); string(text) != "hello" || err != nil {
		t.Fatalf("%q, %v", text, err)
	}
	conn.Close()
	next()
	// The client resets.
	conn = b.to(8002, "echo\nhello")
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	next()
	// An operator ends it.
	conn = b.to(8002, "echo\nhello")
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if answer, err := b.runtime("shutdown sessions server raw/one"); err != nil || strings.TrimSpace(answer) != "" {
		t.Errorf("shutdown sessions: %q, %v", answer, err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the session lives on")
	}
	conn.Close()
	next()
	// Nobody says anything any more.
	conn = b.to(8002, "echo\nhello")
	defer conn.Close()
	if text, err := io.ReadAll(conn); string(text) != "hello" || kernel && err == nil {
		t.Errorf("%q, %v", text, err)
	}
	next()
	// Nobody listens at the server's port: in the kernel the client meets that itself.
	if conn, err := b.dial(8003); err == nil {
		_, _ = io.Copy(io.Discard, conn)
		conn.Close()
	}
	next()
	// The server does not answer: nor does it later, so the client is told.
	const tick = 10 * time.Millisecond // that the kernel's coarse clock may have stood still when the client came
	start := time.Now()
	conn2, err := b.dial(8005)
	if err == nil {
		_, err = conn2.Read(make([]byte, 1))
		conn2.Close()
	}
	if took := time.Since(start); kernel && !errors.Is(err, syscall.ECONNREFUSED) || !kernel && !errors.Is(err, io.EOF) || took < 2*time.Second-tick {
		t.Errorf("a silent server: the client hears %v after %v; timeout connect is 1s, and there is one retry", err, took)
	}
	next()
	if got := b.metric("waggle_frontend_sessions_total", `path="kernel"`); kernel && got != float64(logged) {
		t.Errorf("the kernel carried %v of %d sessions", got, logged)
	}
	return b.anonymous(b.lines(logged))
}

var timers = regexp.MustCompile(`\[[^]]*\]|( 0/-?)\d+/\d+ `)

// anonymous takes out of lines what no two sessions have in common: times and the client's port. A timer that was not reached
// stays to be seen.
func (b *logged) anonymous(lines []string) []string {
	for i, line := range lines {
		for _, word := range strings.Fields(line) {
			if addr, err := netip.ParseAddrPort(word); err == nil && addr.Port() > 8003 {
				line = strings.ReplaceAll(line, word, addr.Addr().String()+":PORT")
			}
		}
		lines[i] = timers.ReplaceAllString(line, "${1}T ")
	}
	return lines
}

// A server that goes down takes its sessions with it where the configuration says so: at once, and not when a timeout ends.
func TestSessionsEndWithTheirServer(t *testing.T) {
	for _, datapath := range datapaths() {
		t.Run("datapath "+datapath, func(t *testing.T) {
			b := startLogged(t, datapath)
			conn := b.to(8004, "echo\nhello")
			defer conn.Close()
			if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
				t.Fatal(err)
			}
			if err := b.task.Unplug(); err != nil {
				t.Fatal(err)
			}
			_, err := conn.Read(make([]byte, 1)) // which ends long before the timeouts
			if want := map[string]error{kernelMode(): syscall.ECONNRESET, "off": io.EOF}[datapath]; !errors.Is(err, want) {
				t.Errorf("the client sees %v, want %v", err, want)
			}
			if lines := b.lines(1); !strings.Contains(lines[0], " checked_in checked_in/three ") || !strings.Contains(lines[0], " 5 DD ") {
				t.Errorf("%s", lines[0])
			}
		})
	}
}
