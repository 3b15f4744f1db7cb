package e2e

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/pattern"
)

func TestConnectionsAreSplitExactly(t *testing.T) {
	modes(t, func(t *testing.T, b *balancer, kernel bool) {
		before := b.metric("haproxy_server_sessions_total", `proxy="raw"`)
		viaKernel := 0.0
		if kernel {
			viaKernel = b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="tcp_in"`)
		}
		each := 1000
		if testing.Short() {
			each = 100
		}
		connections := 3 * each
		want := map[string]int{"hostname: raw-1": each, "hostname: raw-2": each, "hostname: raw-3": each}
		if got := b.names(b.rawName, connections); !maps.Equal(got, want) {
			t.Errorf("%d connections were split %v", connections, got)
		}
		if got := b.metric("haproxy_server_sessions_total", `proxy="raw"`) - before; got != float64(connections) {
			t.Errorf("the servers counted %v sessions", got)
		}
		if kernel {
			if got := b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="tcp_in"`) - viaKernel; got != float64(connections) {
				t.Errorf("the kernel carried %v of %d connections", got, connections)
			}
		}
	})
}

func TestRequestsAreSplitExactly(t *testing.T) {
	modes(t, func(t *testing.T, b *balancer, _ bool) {
		want := map[string]int{"hostname: web-1": 30, "hostname: web-2": 30, "hostname: web-3": 30}
		if got := b.names(b.webName, 90); !maps.Equal(got, want) {
			t.Errorf("90 requests were split %v", got)
		}
	})
}

const tenMB = 10 << 20

func TestTenMegabytesPassUnchanged(t *testing.T) {
	modes(t, func(t *testing.T, b *balancer, _ bool) {
		err := b.Balancer.Do(func() error {
			v, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
			if err == nil && strings.TrimSpace(string(v)) != "0" {
				err = fmt.Errorf("ip_forward is %s", v)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Run("tcp down", func(t *testing.T) { b.tcpDown(t) })
		t.Run("tcp up", func(t *testing.T) { b.tcpUp(t) })
		for _, path := range []string{"/bytes/", "/stream/"} {
			t.Run("http "+path, func(t *testing.T) {
				status, body, err := b.get(httpPort, fmt.Sprint(path, tenMB))
				if err != nil || status != 200 {
					t.Fatalf("status %d, %v", status, err)
				}
				samePattern(t, strings.NewReader(body))
			})
		}
	})
}

func (b *balancer) tcpDown(t *testing.T) {
	conn, err := b.ask(fmt.Sprint("bytes ", tenMB))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	samePattern(t, conn)
}

func (b *balancer) tcpUp(t *testing.T) {
	conn, err := b.ask("sink")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sum := sha256.New()
	if _, err := io.Copy(conn, io.TeeReader(pattern.Reader(tenMB), sum)); err != nil {
		t.Fatal(err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d %x\n", tenMB, sum.Sum(nil)); string(answer) != want {
		t.Errorf("the task received %q, want %q", answer, want)
	}
}

// samePattern compares what came with what the tasks send, byte by byte.
func samePattern(t *testing.T, r io.Reader) {
	t.Helper()
	want := bufio.NewReader(pattern.Reader(tenMB))
	got := make([]byte, 64<<10)
	expect := make([]byte, len(got))
	total := 0
	for {
		n, err := r.Read(got)
		if _, e := io.ReadFull(want, expect[:n]); e != nil {
			t.Fatalf("more than %d bytes came", tenMB)
		}
		if !bytes.Equal(got[:n], expect[:n]) {
			t.Fatalf("bytes differ after %d", total)
		}
		total += n
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("after %d bytes: %v", total, err)
		}
	}
	if total != tenMB {
		t.Errorf("%d bytes came, want %d", total, tenMB)
	}
}

// TestAKilledTaskHurtsNobodyElse holds a connection to each task, kills one task in mid-flow, and expects the others'
// connections to carry on, and each new one to be served by them. The killed one's turn comes before its checks have
// failed: it refuses, and a second later, when the client's SYN comes again or userspace's pause is over, it is known to be down.
// (Were it tried again, the client would hear of its last refusal after 3 s if its kernel is Linux 6.5 or newer, whose first SYNs
// come again at equal distances, net.ipv4.tcp_syn_linear_timeouts, and after 7 s else.)
func TestAKilledTaskHurtsNobodyElse(t *testing.T) {
	modes(t, func(t *testing.T, b *balancer, _ bool) {
		raw := b.Tasks("raw")
		victim := raw[0]
		var held []*echo
		for range 6 { // two on each task
			held = append(held, b.echo(t))
		}
		var wg sync.WaitGroup
		stop := make(chan struct{})
		broken := make(chan error, len(held))
		for _, e := range held {
			wg.Go(func() {
				for {
					if err := e.round(); err != nil {
						broken <- err
						return
					}
					select {
					case <-stop:
						return
					default:
					}
				}
			})
		}
		victim.Kill()
		if got, want := b.names(b.rawName, 12), 12; got["hostname: raw-2"]+got["hostname: raw-3"] != want {
			t.Errorf("%d connections made after a task was killed gave %v", want, got)
		}
		b.eventually("new connections avoid the killed task", func() error {
			return b.shares(b.rawName, 12, "hostname: raw-2", "hostname: raw-3")
		})
		close(stop)
		wg.Wait()
		if n := len(broken); n != 2 {
			t.Errorf("%d of 6 connections broke, want the killed task's 2", n)
			for range n {
				t.Log(<-broken)
			}
		}
	})
}

// echo is a connection on which every byte comes back.
type echo struct {
	conn io.ReadWriteCloser
	n    byte
}

func (b *balancer) echo(t *testing.T) *echo {
	t.Helper()
	conn, err := b.ask("echo")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	e := &echo{conn: conn}
	if err := e.round(); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *echo) round() error {
	e.n++
	sent := bytes.Repeat([]byte{e.n}, 1000)
	if _, err := e.conn.Write(sent); err != nil {
		return err
	}
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(e.conn, got); err != nil {
		return err
	}
	if !bytes.Equal(got, sent) {
		return errors.New("the echo differs")
	}
	return nil
}

func TestScalingIsFollowed(t *testing.T) {
	modes(t, func(t *testing.T, b *balancer, _ bool) {
		follow := func(n int, want ...string) {
			t.Helper()
			scaled := make(chan error, 1) // the stop of a task goes on for a while after it has left DNS
			go func() { scaled <- b.Scale(labtest.Context(t), "web", n) }()
			b.eventually(fmt.Sprintf("%d tasks", n), func() error { return b.shares(b.webName, 6, want...) })
			if err := <-scaled; err != nil {
				t.Fatal(err)
			}
		}
		follow(1, "hostname: web-1")
		follow(0, "status 503")
		follow(3, "hostname: web-1", "hostname: web-2", "hostname: web-3")
	})
}

func TestABackendWithoutTasks(t *testing.T) {
	l := newLab(t, lab.Options{})
	b := &balancer{Lab: l, t: t}
	b.run()
	b.eventually("the HTTP path says 503", func() error {
		status, body, err := b.get(httpPort, "/")
		if err != nil {
			return err
		}
		const want = "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n"
		if status != 503 || body != want {
			return fmt.Errorf("status %d, body %q", status, body)
		}
		return nil
	})
	conn, err := b.dial(tcpPort)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !(err == io.EOF || errors.Is(err, syscall.ECONNRESET)) {
		t.Errorf("the TCP path gave %d bytes and %v, want the connection closed", n, err)
	}
}

func TestTheStatsPage(t *testing.T) {
	modes(t, func(t *testing.T, b *balancer, kernel bool) {
		status, page, err := b.get(httpPort, "/my-stats")
		if err != nil || status != 200 {
			t.Fatalf("status %d, %v", status, err)
		}
		for _, want := range []string{"web-1", "web-2", "web-3", "haproxyPractice", "web_service", "tcp_in"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not mention %s", want)
			}
		}
		status, csv, err := b.get(httpPort, "/my-stats?;csv")
		if err != nil || status != 200 || !strings.HasPrefix(csv, "# pxname,svname,") {
			t.Errorf("CSV: status %d, %v, %.60q", status, err, csv)
		}
		mode := map[bool]string{true: fmt.Sprintf("mode=%q", kernelMode()), false: `mode="off"`}[kernel]
		if got := b.metric("waggle_datapath_mode", mode); got != 1 {
			t.Errorf("waggle_datapath_mode{%s} is %v", mode, got)
		}
		if got := b.metric("waggle_build_info", ""); got != 1 {
			t.Errorf("waggle_build_info is %v", got)
		}
	})
}
