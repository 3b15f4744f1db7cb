package e2e

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
)

// runtime asks the Runtime API, which the configuration opens on the balancer's own address.
func (b *balancer) runtime(command string) (string, error) { return b.runtimeAt(9999, command) }

// runtimeAt asks the one that listens at another port.
func (b *balancer) runtimeAt(port int, command string) (string, error) {
	conn, err := b.Balancer.DialContext(labtest.Context(b.t), "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintln(conn, command); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}

func TestAServerIsDrainedAtRunTimeOnBothPaths(t *testing.T) {
	modes(t, func(t *testing.T, b *balancer, _ bool) {
		info, err := b.runtime("show info")
		if err != nil || !strings.Contains(info, "Maxconn: 256\n") {
			t.Errorf("show info: %v, %q", err, info)
		}
		held := b.echo(t) // on one of the tasks; it must survive whatever follows
		for _, server := range []string{"raw/raw-1", "web_service/web-1"} {
			if answer, err := b.runtime("set server " + server + " state drain"); err != nil || strings.TrimSpace(answer) != "" {
				t.Errorf("drain %s: %v, %q", server, err, answer)
			}
		}
		b.eventually("drained servers get nothing new", func() error {
			if err := b.shares(b.webName, 6, "hostname: web-2", "hostname: web-3"); err != nil {
				return err
			}
			return b.shares(b.rawName, 6, "hostname: raw-2", "hostname: raw-3")
		})
		if err := held.round(); err != nil {
			t.Errorf("the open connection broke: %v", err)
		}
		if answer, err := b.runtime("set server raw/raw-1 state ready; set server raw/raw-1 weight 2"); err != nil || strings.TrimSpace(answer) != "" {
			t.Errorf("ready: %v, %q", err, answer)
		}
		b.eventually("weights are followed", func() error {
			got := b.names(b.rawName, 8)
			if got["hostname: raw-1"] != 4 || got["hostname: raw-2"] != 2 || got["hostname: raw-3"] != 2 {
				return fmt.Errorf("%v", got)
			}
			return nil
		})
	})
}

func TestHealthcheckFindsTheRunningWaggle(t *testing.T) {
	b := start(t, "--datapath=off")
	ask := func() (string, error) {
		p, err := b.Balancer.Start(labtest.Context(t), b.command("healthcheck"))
		if err != nil {
			return "", err
		}
		err = p.Err()
		return p.Output(), err
	}
	if said, err := ask(); err != nil || said != "healthy\n" {
		t.Errorf("with waggle running: %q, %v", said, err)
	}
	b.process.Kill()
	if said, err := ask(); err == nil || !strings.Contains(said, "unhealthy: no waggle answers") {
		t.Errorf("without waggle: %q, %v", said, err)
	}
}

// TestServersComeAndGoAtRunTimeOnBothPaths adds the task that found no slot, uses and counts it, bounds it, and
// removes it again.
func TestServersComeAndGoAtRunTimeOnBothPaths(t *testing.T) {
	modes(t, func(t *testing.T, b *balancer, kernel bool) {
		say := func(command, want string) {
			t.Helper()
			if answer, err := b.runtime(command); err != nil || strings.TrimSpace(answer) != want {
				t.Errorf("%s: %v, %q, want %q", command, err, answer, want)
			}
		}
		task, err := b.AddTask(labtest.Context(t), lab.TaskOptions{Service: "raw", Kind: lab.TCP})
		if err != nil {
			t.Fatal(err)
		}
		say("add server raw/extra "+task.Endpoint().String()+" check inter 200ms rise 1", "New server registered.")
		if err := b.shares(b.rawName, 6, "hostname: raw-1", "hostname: raw-2", "hostname: raw-3"); err != nil {
			t.Errorf("a server that nobody has enabled: %v", err)
		}
		say("enable health raw/extra; enable server raw/extra", "")
		all := []string{"hostname: raw-1", "hostname: raw-2", "hostname: raw-3", "hostname: raw-4"}
		b.eventually("the server that was added gets its share", func() error { return b.shares(b.rawName, 8, all...) })
		before := b.metric("haproxy_server_sessions_total", `proxy="raw",server="extra"`)
		if err := b.shares(b.rawName, 40, all...); err != nil {
			t.Error(err)
		}
		if got := b.metric("haproxy_server_sessions_total", `proxy="raw",server="extra"`) - before; got != 10 {
			t.Errorf("%v sessions were counted for it, want 10", got)
		}

		// With one place each, the fifth connection waits, whichever path carries the others.
		for _, s := range []string{"raw-1", "raw-2", "raw-3", "extra"} {
			say("set maxconn server raw/"+s+" 1", "")
		}
		b.eventually("limits hold", func() error {
			var held []*echo
			for range 4 {
				held = append(held, b.echo(t))
			}
			defer func() {
				for _, h := range held {
					h.conn.Close()
				}
			}()
			conn, err := b.ask("hostname")
			if err != nil {
				return err
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(300 * time.Millisecond))
			if n, err := conn.Read(make([]byte, 64)); err == nil {
				return fmt.Errorf("a fifth connection was served: %d bytes", n)
			}
			return nil
		})
		for _, s := range []string{"raw-1", "raw-2", "raw-3", "extra"} {
			say("set maxconn server raw/"+s+" 0", "")
		}

		say("del server raw/extra", "Only servers in maintenance mode can be deleted.")
		say("disable server raw/extra; wait 10s srv-removable raw/extra; del server raw/extra", "Done.\n\nServer deleted.")
		b.eventually("the others share what is left", func() error {
			return b.shares(b.rawName, 6, "hostname: raw-1", "hostname: raw-2", "hostname: raw-3")
		})
		say("get weight raw/extra", "No such server.")
		if kernel && b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="tcp_in"`) < 40 {
			t.Error("the kernel path did not carry this test")
		}
	})
}
