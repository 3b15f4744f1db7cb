package e2e

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
)

// runtime asks the Runtime API, which the configuration opens on the balancer's own address.
func (b *balancer) runtime(command string) (string, error) {
	conn, err := b.Balancer.DialContext(labtest.Context(b.t), "tcp4", "127.0.0.1:9999")
	if err != nil {
		return "", err
	}
	defer conn.Close()
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
		b.eventually(2*time.Second, "drained servers get nothing new", func() error {
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
		b.eventually(2*time.Second, "weights are followed", func() error {
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
