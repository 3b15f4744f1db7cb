package runtimeapi

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"waggle/pkg/lab/message"
	"waggle/pkg/pool"
)

// dialogue runs one line as an operator with all rights, in a bubble of its own time.
func dialogue(t *testing.T, prepare func(web *pool.Backend), line string) (answer string, took time.Duration) {
	t.Helper()
	s := balancer()
	if prepare != nil {
		prepare(s.Proxies[1].Backend)
	}
	c := &session{server: New(fixed{s}, Options{}), ctx: t.Context(), level: Admin}
	start := time.Now()
	return answersTo(c, line), time.Since(start)
}

func TestWait(t *testing.T) {
	busy := func(web *pool.Backend) { web.Servers()[0].SetMaint(true, pool.CauseCLI) } // it has two sessions
	freed := func(web *pool.Backend) {
		one := web.Servers()[0]
		one.SetMaint(true, pool.CauseCLI)
		one.Idle.Add(-1)
		time.AfterFunc(time.Second, func() { one.Sessions.Add(-2) })
	}
	for _, tt := range []struct {
		name, line string
		prepare    func(*pool.Backend)
		want       string
		took       time.Duration
	}{
		{"milliseconds", "wait 1500", nil, "Done.\n\n", 1500 * time.Millisecond},
		{"with a unit", "wait 3s", nil, "Done.\n\n", 3 * time.Second},
		{"help", "wait -h", nil, waitHelp + "\n", 0},
		{"no delay", "wait", nil, waitHelp + "\n", 0},
		{"too long", "wait 900h", nil, waitHelp + "\n", 0},
		{"negative", "wait -5s", nil, waitHelp + "\n", 0},
		{"unknown condition", "wait 1s moon", nil, waitHelp + "\n", 0},
		{"no such server", "wait 1s srv-removable web/nope", nil, "No such server.\n\n", 0},
		{"in use", "wait 2s srv-removable web/one", busy, "Wait delay expired. Server still has connections attached to it, cannot remove it.\n\n", 2 * time.Second},
		{"not in maintenance", "wait 2s srv-removable web/one", nil, "Wait delay expired. Only servers in maintenance mode can be deleted.\n\n", 2 * time.Second},
		{"freed", "wait 9s srv-removable web/one", freed, "Done.\n\n", time.Second + waitStep},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, took := dialogue(t, tt.prepare, tt.line)
				if got != tt.want || took > tt.took || took < tt.took-waitStep {
					t.Errorf("after %v: %q; want %q after %v", took, got, tt.want, tt.took)
				}
			})
		})
	}
}

// TestStopEndsAWait: a client that waits does not keep the server from stopping.
func TestStopEndsAWait(t *testing.T) {
	inBubble(t, Options{}, func(t *testing.T, l *pipeListener) {
		conn := l.dial()
		io.WriteString(conn, "wait 10h\n")
		synctest.Wait()
	})
}

func TestProcessCommands(t *testing.T) {
	t.Setenv("WAGGLE_TEST_ENV", "a\nb")
	c := &session{server: New(fixed{balancer()}, Options{StartupLogs: func() string { return "[NOTICE] hello\n" }}), level: Operator}
	c.server.listeners = []Listener{
		{fakeListener{&net.UnixAddr{Name: "/run/w.sock", Net: "unix"}}, Admin},
		{fakeListener{&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9999}}, User},
		{fakeListener{&net.TCPAddr{IP: net.IPv6loopback, Port: 9999}}, Operator},
	}
	for line, want := range map[string]string{
		"show env WAGGLE_TEST_ENV": "WAGGLE_TEST_ENV=a?b\n\n",
		"show startup-logs":        "[NOTICE] hello\n\n\n",
		"show cli sockets":         "# socket lvl processes\nunix@/run/w.sock admin all\nipv4@127.0.0.1:9999 user all\nipv6@[::1]:9999 operator all\n\n",
	} {
		if got := answersTo(c, line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
		message.Shown(t, want)
	}
	if got := answersTo(c, "show env"); strings.Count(got, "\n") != len(os.Environ())+1 {
		t.Errorf("show env has %d lines for %d variables", strings.Count(got, "\n")-1, len(os.Environ()))
	}
	if got := answersTo(c, "show schema json"); !strings.HasPrefix(got, `{"$schema":`) {
		t.Errorf("show schema json: %.80q", got)
	}
}

type fakeListener struct{ addr net.Addr }

func (l fakeListener) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (l fakeListener) Close() error              { return nil }
func (l fakeListener) Addr() net.Addr            { return l.addr }

func TestDescriptions(t *testing.T) {
	for line, want := range map[string]string{
		"show stat typed desc": `.pxname.1:KNS:str:in:"Name of the proxy."`,
		"show info desc":       `Name: waggle:"Name of the product."`,
		"show info typed desc": `0.Name.1:POS:str:waggle:"Name of the product."`,
	} {
		if got := ask(balancer(), User, line); !strings.Contains(got, want+"\n") {
			t.Errorf("%s lacks %s:\n%.300s", line, want, got)
		}
		if got := ask(balancer(), User, strings.Replace(line, " desc", "", 1)); strings.Contains(got, `."`) {
			t.Errorf("descriptions without being asked:\n%.300s", got)
		}
	}
}

// TestRights makes sure that nobody below admin changes anything.
func TestRights(t *testing.T) {
	for _, line := range []string{
		"set server web/one addr 1.2.3.4", "set server web/one health down", "disable health web/one", "enable health web/one",
		"set maxconn server web/one 1", "set maxconn frontend in 1", "set maxconn global 1", "add server web/x 1.2.3.4:5",
		"del server web/one", "clear counters all",
	} {
		if got := ask(balancer(), Operator, line); got != "Permission denied\n\n" {
			t.Errorf("%s: %q", line, got)
		}
	}
	for _, line := range []string{"show env", "show startup-logs"} {
		if got := ask(balancer(), User, line); got != "Permission denied\n\n" {
			t.Errorf("%s: %q", line, got)
		}
	}
}
