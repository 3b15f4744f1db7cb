package e2e

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
)

// A frontend that is disabled refuses connections on both paths and keeps those it has; enabled it takes them again.
func TestAFrontendIsSwitchedOffAndOn(t *testing.T) {
	modes(t, func(t *testing.T, b *balancer, kernel bool) {
		held := b.echo(t)
		b.say("disable frontend tcp_in", "")
		b.say("disable frontend haproxyPractice", "")
		for _, port := range []int{tcpPort, httpPort} {
			if conn, err := b.dial(port); err == nil {
				conn.Close()
				t.Errorf("port %d: a disabled frontend takes a connection", port)
			} else if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("port %d: %v", port, err)
			}
		}
		if csv, err := b.runtime("show stat"); err != nil || strings.Count(csv, ",PAUSED,") != 2 {
			t.Errorf("show stat: %v\n%s", err, csv)
		}
		if err := held.round(); err != nil {
			t.Errorf("the open connection broke: %v", err)
		}
		before := 0.0
		if kernel {
			before = b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="tcp_in"`)
		}
		b.say("enable frontend tcp_in", "")
		b.say("enable frontend haproxyPractice", "")
		if err := errors.Join(b.shares(b.rawName, 6, "hostname: raw-1", "hostname: raw-2", "hostname: raw-3"),
			b.shares(b.webName, 3, "hostname: web-1", "hostname: web-2", "hostname: web-3")); err != nil {
			t.Error(err)
		}
		if kernel {
			b.eventually("the kernel carries its share again", func() error {
				if n := b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="tcp_in"`) - before; n < 6 {
					return fmt.Errorf("%v sessions", n)
				}
				return nil
			})
		}
		b.say("shutdown frontend tcp_in", "")
		if conn, err := b.dial(tcpPort); err == nil {
			conn.Close()
			t.Error("a frontend that was shut down takes a connection")
		}
		if err := held.round(); err != nil {
			t.Errorf("the open connection broke: %v", err)
		}
		if err := b.process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		b.eventually("a reload brings it back", func() error { _, err := b.rawName(); return err })
	})
}

// say gives a command that has to be answered by want.
func (b *balancer) say(command, want string) {
	b.t.Helper()
	if answer, err := b.runtime(command); err != nil || strings.TrimSpace(answer) != want {
		b.t.Errorf("%s: %v, %q, want %q", command, err, answer, want)
	}
}

// Sessions of both paths are listed, shown one by one, and ended.
func TestSessionsAreListedAndEnded(t *testing.T) {
	modes(t, func(t *testing.T, b *balancer, kernel bool) {
		raw := b.echo(t)
		web, err := b.dial(httpPort)
		if err != nil {
			t.Fatal(err)
		}
		defer web.Close()
		if _, err := io.WriteString(web, "GET /slow/30000 HTTP/1.1\r\nhost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		var ids [2]string
		b.eventually("both sessions are listed", func() error {
			list, err := b.runtime("show sess")
			if err != nil {
				return err
			}
			path := map[bool]string{true: "kernel", false: "userspace"}[kernel]
			for line := range strings.Lines(list) {
				id, rest, _ := strings.Cut(line, ":")
				switch {
				case strings.Contains(rest, " fe=tcp_in be=raw srv=raw-") && strings.Contains(rest, " path="+path+" "):
					ids[0] = id
				case strings.Contains(rest, " fe=haproxyPractice be=web_service srv=web-") && strings.Contains(rest, " path=userspace state=exchange "):
					ids[1] = id
				}
			}
			if ids[0] == "" || ids[1] == "" {
				return fmt.Errorf("listed are\n%s", list)
			}
			return nil
		})
		for _, id := range ids {
			if one, err := b.runtime("show sess " + id); err != nil || !strings.HasPrefix(one, id+": ") {
				t.Errorf("show sess %s: %v, %q", id, err, one)
			}
		}
		if one, _ := b.runtime("show sess " + ids[1]); !strings.Contains(one, "status=0\n") || !strings.Contains(one, "backend=web_service addr=10.0.1.2:") {
			t.Errorf("of one session it says\n%s", one)
		}
		for _, id := range ids {
			b.say("shutdown session "+id, "")
			b.eventually("it is gone", func() error {
				if one, err := b.runtime("show sess " + id); err != nil || !strings.HasPrefix(one, "Session not found.") {
					return fmt.Errorf("%q, %w", one, err)
				}
				return nil
			})
		}
		if err := raw.round(); err == nil {
			t.Error("the TCP session lives on")
		}
		if n, err := web.Read(make([]byte, 1)); err == nil {
			t.Errorf("the HTTP session answered %d bytes", n)
		}
	})
}

// The last malformed message of each side is kept and shown with the byte that is wrong.
func TestMalformedMessagesAreShown(t *testing.T) {
	b := startColumns(t, columnContenders(t)[1])
	c := b.web()
	_, _ = io.WriteString(c.conn, "GET /x HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n")
	_, _ = io.Copy(io.Discard, c.r)
	c.close()
	c = b.web()
	c.ask("GET", "/junk", "", "faulty", "w1")
	c.close()
	got, err := b.runtime("show errors")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"] : 2\n \n[", "] frontend http_in (#2): invalid request\n  backend <NONE> (#-1), server <NONE> (#-1), event #0, src 198.18.0.2:",
		"\n  len 40, wraps at 16384, error at position ", "\n  \n  00000  GET /x HTTP/1.1\\r\\n\n  00017  host: a\\r\\n\n  00026  bad header\\r\\n\n",
		"] backend faulty (#", "): invalid response\n  frontend http_in (#2), server w1 (#1), event #1, src 198.18.0.2:",
		"\n  00000  this is no answer\\r\\n\n  00019  \\r\\n\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	for command, want := range map[string]int{"show errors http_in request": 1, "show errors faulty": 1, "show errors web": 0, "show errors -1 response": 1} {
		if got, err := b.runtime(command); err != nil || strings.Count(got, ": invalid re") != want {
			t.Errorf("%s: %v\n%s", command, err, got)
		}
	}
}
