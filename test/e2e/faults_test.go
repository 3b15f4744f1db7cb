package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/pkg/lab"
	"waggle/pkg/lab/pattern"
	"waggle/pkg/lab/wire"
)

// bad is what the wires on both sides of the balancer do while a test has its traffic on them. Jitter reorders about every second
// frame of a burst.
var bad = wire.Faults{Loss: 0.01, Duplicate: 0.01, Delay: 500 * time.Microsecond, Jitter: time.Millisecond}

// startOnWires is start on legs that can be made bad, which they are not yet.
func startOnWires(t *testing.T, datapath string) *balancer {
	t.Helper()
	l := newLab(t, lab.Options{Tasks: 3, StopDelay: swarmStopDelay, Wires: true, WireSeed: 1})
	b := startIn(t, l, "--datapath="+datapath)
	if datapath != "off" {
		b.hasXDP(t)
	}
	return b
}

func (b *balancer) faults(f wire.Faults) {
	b.OverlayWire.Set(f)
	b.GatewayWire.Set(f)
}

// Frames are lost, doubled, delayed and overtake each other on both sides of the balancer: what arrives is what was sent, both ways,
// on each path; connections end as they should, and nothing is left of them.
func TestBadWiresChangeNoByte(t *testing.T) {
	for _, datapath := range datapaths() {
		t.Run("datapath "+datapath, func(t *testing.T) {
			b := startOnWires(t, datapath)
			viaKernel := b.kernelSessions()
			b.faults(bad)
			var under sync.WaitGroup
			for name, exchange := range map[string]func(*testing.T){"tcp down": b.tcpDown, "tcp up": b.tcpUp, "http down": b.httpDown, "http up": b.httpUp} {
				under.Go(func() { t.Run(name, exchange) })
			}
			under.Wait()
			short(t, b, 150)
			before := b.OverlayWire.Counts()
			b.faults(wire.Faults{})
			if before.Lost < 100 || before.Doubled < 100 || before.Overrun > 0 {
				t.Errorf("the wire did %+v: not what was asked for", before)
			}
			b.eventually("no session is left", func() error {
				for _, proxy := range []string{"tcp_in", "haproxyPractice"} {
					if n := b.metric("haproxy_frontend_current_sessions", fmt.Sprintf(`proxy=%q`, proxy)); n != 0 {
						return fmt.Errorf("%v sessions of %s", n, proxy)
					}
				}
				return nil
			})
			if n := b.kernelSessions() - viaKernel; datapath != "off" && n != 152 || datapath == "off" && n != 0 {
				t.Errorf("the kernel carried %v of 152 connections", n)
			}
			// A server whose checks were lost may have been down.
			b.eventually("all servers are used again", func() error {
				return b.shares(b.rawName, 30, "hostname: raw-1", "hostname: raw-2", "hostname: raw-3")
			})
		})
	}
}

// short makes connections of one line each, several at a time.
func short(t *testing.T, b *balancer, n int) {
	t.Helper()
	const side = 10
	var under sync.WaitGroup
	failed := make(chan error, n)
	for range side {
		under.Go(func() {
			for range n / side {
				name, err := b.rawName()
				if err == nil && !strings.HasPrefix(name, "hostname: raw-") {
					err = fmt.Errorf("answer %q", name)
				}
				if err != nil {
					failed <- err
				}
			}
		})
	}
	under.Wait()
	close(failed)
	for err := range failed {
		t.Error("a short connection:", err)
	}
}

func (b *balancer) kernelSessions() float64 {
	return b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="tcp_in"`)
}

func (b *balancer) httpDown(t *testing.T) {
	client := b.Client.HTTPClient()
	client.Timeout = 2 * patience
	resp, err := client.Get(b.Balancer.URL(httpPort, fmt.Sprint("/stream/", tenMB)))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	samePattern(t, resp.Body)
}

func (b *balancer) httpUp(t *testing.T) {
	client := b.Client.HTTPClient()
	client.Timeout = 2 * patience
	resp, err := client.Post(b.Balancer.URL(httpPort, "/echo"), "application/octet-stream", pattern.Reader(tenMB))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatal(errors.New(resp.Status))
	}
	samePattern(t, resp.Body)
}
