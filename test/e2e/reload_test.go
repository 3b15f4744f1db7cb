package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
)

// envReloads is how many reloads the test makes; `make reloads` sets it to 100.
const envReloads = "WAGGLE_TEST_RELOADS"

// extraPort is listened on by every other configuration only.
const extraPort = 8010

// changing is the n-th of a series of configurations: backends, servers, weights, timeouts, rules and a frontend change.
// What clients use is always there. With n = 0 it is the one to begin with, and to return to.
func changing(n int, raw string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
global
    stats socket ipv4@127.0.0.1:9999 level admin
    maxconn %d

resolvers docker
    nameserver dns1 127.0.0.11:53
    hold obsolete 10s

defaults
    timeout connect 5s
    timeout client %ds
    timeout server %ds
    retries 3
    option redispatch

frontend http_in
    mode http
    bind *:8000
    http-response set-header x-round %d
`, 2000+n%2, 30+n%7, 30+n%5, n)
	if n%2 == 1 {
		fmt.Fprintf(&b, "    use_backend added if { path_beg /added }\n    http-request set-header x-odd %d\n", n)
	}
	fmt.Fprintf(&b, `    default_backend web

backend web
    mode http
    balance %s
    server-template web- %d web:8000 check inter 500ms resolvers docker init-addr none weight %d
`, []string{"roundrobin", "leastconn", "random"}[n%3], 3+n%3, 1+n%4)
	if n%2 == 1 {
		b.WriteString("\nfrontend extra_in\n    mode http\n    bind *:8010\n    default_backend added\n" +
			"\nbackend added\n    mode http\n    server-template a 3 web:8000 resolvers docker init-addr none\n")
	}
	b.WriteString(`
frontend tcp_in
    mode tcp
    bind *:8001
    default_backend raw

backend raw
    mode tcp
    server-template raw- 3 raw:8000 check inter 500ms resolvers docker init-addr none
`)
	if n%3 == 1 {
		fmt.Fprintf(&b, "    server more %s weight %d\n", raw, 1+n%5)
	}
	b.WriteString(`
frontend stats_in
    mode http
    bind *:8404
    http-request use-service prometheus-exporter if { path /metrics }
    stats enable
    stats uri /
`)
	return b.String()
}

// reloadable starts waggle on a file that the test can change.
func reloadable(t *testing.T, text string, flags ...string) (b *balancer, file string) {
	t.Helper()
	l := newLab(t, lab.Options{Tasks: 3, StopDelay: swarmStopDelay})
	for range 3 {
		if _, err := l.AddTask(labtest.Context(t), lab.TaskOptions{Service: "raw", Kind: lab.TCP}); err != nil {
			t.Fatal(err)
		}
	}
	b = &balancer{Lab: l, t: t}
	file = filepath.Join(t.TempDir(), "haproxy.cfg")
	b.rewrite(file, text)
	c := b.command(append([]string{"run", "-f", file}, flags...)...)
	var err error
	if b.process, err = b.Balancer.Start(labtest.Context(t), c); err != nil {
		t.Fatal(err)
	}
	b.eventually("all servers are used", func() error {
		return errors.Join(
			b.shares(b.webName, 6, "hostname: web-1", "hostname: web-2", "hostname: web-3"),
			b.shares(b.rawName, 6, "hostname: raw-1", "hostname: raw-2", "hostname: raw-3"))
	})
	return b, file
}

func (b *balancer) rewrite(file, text string) {
	b.t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// rawAddr is the address of a TCP task.
func (b *balancer) rawAddr() string {
	for _, task := range b.Tasks("raw") {
		return task.Endpoint().String()
	}
	return ""
}

// round asks over a connection of its own which configuration answers.
func (b *balancer) round() (int, error) {
	resp, err := b.Client.HTTPClient().Get(b.Balancer.URL(httpPort, "/"))
	if err != nil {
		return 0, err
	}
	resp.Body.Close()
	return strconv.Atoi(resp.Header.Get("x-round"))
}

// load is steady traffic of four kinds, with what went wrong.
type load struct {
	b        *balancer
	stop     context.CancelFunc
	ctx      context.Context
	running  sync.WaitGroup
	mu       sync.Mutex
	failures []string
	kept     atomic.Int64 // requests over kept connections
	single   atomic.Int64 // requests with a connection each
	tcp      atomic.Int64 // TCP connections
	echoes   atomic.Int64 // lines over TCP connections that stay
}

const loadPause = 2 * time.Millisecond

func (b *balancer) load() *load {
	l := &load{b: b}
	l.ctx, l.stop = context.WithCancel(context.Background())
	for range 4 {
		l.run("keep-alive", l.keepAlive)
		l.run("echo", l.echo)
	}
	for range 2 {
		l.run("http", l.each(&l.single, func() error { _, err := b.webName(); return err }))
		l.run("tcp", l.each(&l.tcp, func() error {
			name, err := b.rawName()
			if err == nil && !strings.HasPrefix(name, "hostname: raw-") {
				err = fmt.Errorf("answer %q", name)
			}
			return err
		}))
	}
	return l
}

func (l *load) run(kind string, client func() error) {
	l.running.Go(func() {
		for l.ctx.Err() == nil {
			if err := client(); err != nil {
				l.mu.Lock()
				l.failures = append(l.failures, fmt.Sprintf("%s %s: %v", time.Now().Format("15:04:05.000"), kind, err))
				l.mu.Unlock()
			}
		}
	})
}

// end stops the traffic and reports.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	l.running.Wait()
	t.Logf("%d requests over kept connections, %d with a connection each, %d TCP connections, %d lines over TCP connections that stayed",
		l.kept.Load(), l.single.Load(), l.tcp.Load(), l.echoes.Load())
	for i, f := range l.failures {
		if i == 20 {
			break
		}
		t.Error(f)
	}
	if len(l.failures) > 0 {
		t.Errorf("%d failures", len(l.failures))
	}
}

// goOn returns when every kind of traffic has been served some more.
func (l *load) goOn() {
	l.b.t.Helper()
	counts := []*atomic.Int64{&l.kept, &l.single, &l.tcp, &l.echoes}
	var from []int64
	for _, c := range counts {
		from = append(from, c.Load())
	}
	l.b.eventually("the traffic goes on", func() error {
		for i, c := range counts {
			if c.Load() < from[i]+10 {
				return fmt.Errorf("kind %d of traffic stands still", i)
			}
		}
		return nil
	})
}

func (l *load) each(count *atomic.Int64, one func() error) func() error {
	return func() error {
		for l.ctx.Err() == nil {
			if err := one(); err != nil {
				return err
			}
			count.Add(1)
			time.Sleep(loadPause)
		}
		return nil
	}
}

// keepAlive makes requests over one connection, which must stay, under configurations that only grow newer.
func (l *load) keepAlive() error {
	conn, err := l.b.dial(httpPort)
	if err != nil {
		return err
	}
	defer conn.Close()
	in, last := bufio.NewReader(conn), 0
	for l.ctx.Err() == nil {
		conn.SetDeadline(time.Now().Add(patience))
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: web\r\n\r\n"); err != nil {
			return err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return err
		}
		resp.Body.Close()
		round, err := strconv.Atoi(resp.Header.Get("x-round"))
		switch {
		case resp.StatusCode != http.StatusOK:
			return fmt.Errorf("status %d", resp.StatusCode)
		case resp.Close:
			return errors.New("the connection is not kept")
		case err != nil || round < last:
			return fmt.Errorf("configuration %q answers after %d", resp.Header.Get("x-round"), last)
		}
		last = round
		l.kept.Add(1)
		time.Sleep(loadPause)
	}
	return nil
}

// echo sends lines over one TCP connection, which must stay.
func (l *load) echo() error {
	conn, err := l.b.ask("echo")
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	for n := 0; l.ctx.Err() == nil; n++ {
		conn.SetDeadline(time.Now().Add(patience))
		want := fmt.Sprintf("line %d\n", n)
		if _, err := io.WriteString(conn, want); err != nil {
			return err
		}
		got, err := in.ReadString('\n')
		if err != nil || got != want {
			return fmt.Errorf("after %d lines %q, %v", n, got, err)
		}
		l.echoes.Add(1)
		time.Sleep(loadPause)
	}
	return nil
}

// footprint is what a process holds.
type footprint struct {
	files, goroutines, maps, programs int
	flows                             float64
}

// table says whether the flow table counts: flows hold their ports there for a minute after their end.
func (b *balancer) footprint(kernel, table bool) footprint {
	b.t.Helper()
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", b.process.Pid()))
	if err != nil {
		b.t.Fatal(err)
	}
	held, err := labtest.HeldBy(b.process.Pid())
	if err != nil {
		b.t.Fatal(err)
	}
	f := footprint{files: len(files), goroutines: int(b.metric("go_goroutines", "")), maps: len(held.Maps), programs: len(held.Programs)}
	switch {
	case kernel && table:
		f.flows = b.metric("waggle_datapath_map_entries", `map="wg_flows"`)
	case kernel:
		f.flows = b.metric("waggle_frontend_current_sessions", `path="kernel"`)
	}
	return f
}

// within says whether it has come back to what it was, but for a few connections that wait to be used again, and for the goroutines that
// gather the metrics, which have ended or not when they count themselves. A leak is one for each reload.
func (f footprint) within(before footprint) error {
	const idle, gathering = 8, 2
	if f.files > before.files+idle || f.goroutines > before.goroutines+gathering || f.maps > before.maps || f.programs > before.programs || f.flows > before.flows {
		return fmt.Errorf("%+v, before %+v", f, before)
	}
	return nil
}

// shortReloads is how many reloads `make test` makes on each path.
const shortReloads = 15

// TestReloadsUnderLoad: whatever changes, no request fails and no connection breaks, on both paths; and nothing leaks.
func TestReloadsUnderLoad(t *testing.T) {
	reloads := shortReloads
	if v := os.Getenv(envReloads); v != "" {
		var err error
		if reloads, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	for _, datapath := range datapaths() {
		t.Run("datapath "+datapath, func(t *testing.T) { reloadUnderLoad(t, reloads, datapath != "off", "--datapath="+datapath) })
	}
}

func reloadUnderLoad(t *testing.T, reloads int, kernel bool, flag string) {
	b, file := reloadable(t, changing(0, ""), flag)
	raw := b.rawAddr()
	table := kernel && reloads > shortReloads
	b.settle(table)
	before := b.footprint(kernel, table)
	viaKernel := 0.0
	if kernel {
		viaKernel = b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="tcp_in"`)
	}
	sessions := b.metric("haproxy_frontend_sessions_total", `proxy="tcp_in"`)
	load := b.load()
	for n := 1; n <= reloads; n++ {
		b.rewrite(file, changing(n, raw))
		if err := b.process.Signal([]os.Signal{syscall.SIGUSR2, syscall.SIGHUP}[n%2]); err != nil {
			t.Fatal(err)
		}
		b.eventually(fmt.Sprint("configuration ", n, " is in use"), func() error {
			if got, err := b.round(); err != nil || got != n {
				return fmt.Errorf("configuration %d, %v", got, err)
			}
			return nil
		})
		if n%2 == 1 {
			if status, _, err := b.get(extraPort, "/"); err != nil || status != http.StatusOK {
				t.Errorf("the frontend that configuration %d adds answers %d, %v", n, status, err)
			}
		} else { // one loop may be a moment behind the one that has answered
			b.eventually("the frontend that is removed accepts no more", func() error {
				conn, err := b.dial(extraPort)
				if err == nil {
					conn.Close()
					return errors.New("it does")
				}
				return nil
			})
		}
		load.goOn()
	}
	load.end(t)
	if got := b.metric("haproxy_frontend_sessions_total", `proxy="tcp_in"`) - sessions; got < float64(load.tcp.Load()) {
		t.Errorf("the frontend counts %v sessions since before the reloads, there were at least %d", got, load.tcp.Load())
	}
	if kernel {
		if got := b.metric("waggle_frontend_sessions_total", `path="kernel",proxy="tcp_in"`) - viaKernel; got < 0.95*float64(load.tcp.Load()) {
			t.Errorf("the kernel carried %v of %d TCP connections", got, load.tcp.Load())
		}
	}
	b.rewrite(file, changing(0, ""))
	if err := b.process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	b.eventually("the first configuration is in use again", func() error {
		if got, err := b.round(); err != nil || got != 0 {
			return fmt.Errorf("configuration %d, %v", got, err)
		}
		return nil
	})
	defer func() {
		if t.Failed() {
			_ = b.process.Signal(syscall.SIGQUIT) // and it tells what all its goroutines do
			<-b.process.Done()
		}
	}()
	labtest.Eventually(t, tablePatience, "nothing is left of the reloads", func() error { return b.footprint(kernel, table).within(before) })
	if got := b.metric("waggle_config_last_reload_successful", ""); got != 1 {
		t.Errorf("waggle_config_last_reload_successful is %v", got)
	}
}

// tablePatience is patience where flows of the table are waited for, which hold their ports for a minute after their end.
const tablePatience = 100 * time.Second

// settle waits until the first flows are gone from the kernel path.
func (b *balancer) settle(table bool) {
	b.t.Helper()
	if !table {
		return
	}
	labtest.Eventually(b.t, tablePatience, "the first flows are gone", func() error {
		if n := b.metric("waggle_datapath_map_entries", `map="wg_flows"`); n > 0 {
			return fmt.Errorf("%v entries", n)
		}
		return nil
	})
}
