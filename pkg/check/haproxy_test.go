package check

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
	"waggle/pkg/pool"
)

// scenario is a block of testdata/haproxy.txt: a server that behaves in some way, and what HAProxy reports of it.
type scenario struct {
	name, server, want, sent string
	conf                     []string
	fake                     []string
	listens                  bool
}

func (s *scenario) agent() bool { return strings.Contains(s.server, "agent-check") }

func scenarios(t *testing.T) []*scenario {
	t.Helper()
	content, err := os.ReadFile("testdata/haproxy.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []*scenario
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "== "); ok {
			all = append(all, &scenario{name: name})
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok || len(all) == 0 {
			continue
		}
		s := all[len(all)-1]
		value = strings.TrimPrefix(value, " ")
		switch key {
		case "conf":
			s.conf = append(s.conf, value)
		case "server":
			s.server = value
		case "want":
			s.want = value
		case "sent":
			s.sent, err = strconv.Unquote(value)
		case "fake":
			s.listens, s.fake = true, actions(t, value)
		}
		if err != nil {
			t.Fatalf("%s: %q: %v", s.name, line, err)
		}
	}
	if len(all) < 150 {
		t.Fatalf("only %d scenarios", len(all))
	}
	return all
}

// actions takes `"text" < . x` apart; texts keep their first quote.
func actions(t *testing.T, line string) []string {
	t.Helper()
	var out []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] != '"' {
			out, line = append(out, line[:1]), line[1:]
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		text, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatal(err)
		}
		out, line = append(out, `"`+text), line[len(quoted):]
	}
	return out
}

// fakeServer behaves as a scenario says.
type fakeServer struct {
	ln   net.Listener
	do   []string
	wg   sync.WaitGroup
	stop chan struct{}
	mu   sync.Mutex
	sent []byte // what came first
	came chan struct{}
}

func (s *scenario) start(t *testing.T) (*fakeServer, netip.AddrPort) {
	t.Helper()
	if !s.listens {
		return nil, labtest.ClosedAddr(t)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{ln: ln, do: s.fake, stop: make(chan struct{}), came: make(chan struct{})}
	addr := netip.MustParseAddrPort(ln.Addr().String())
	f.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			f.wg.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(func() { close(f.stop); ln.Close(); f.wg.Wait() })
	return f, addr
}

func (f *fakeServer) serve(c net.Conn) {
	defer c.Close()
	buf := make([]byte, 4096)
	for _, a := range f.do {
		switch a[0] {
		case '"':
			if _, err := io.WriteString(c, a[1:]); err != nil {
				return
			}
		case '<':
			n, _ := c.Read(buf)
			f.mu.Lock()
			if f.sent == nil && n > 0 {
				f.sent = bytes.Clone(buf[:n])
				close(f.came)
			}
			f.mu.Unlock()
		case '.':
			<-f.stop
		case 'x':
			_ = c.(*net.TCPConn).SetLinger(0)
			return
		}
	}
}

// backend is the scenario's, with timers on the server's line, and a time for connections.
func (s *scenario) backend(name string, addr netip.AddrPort, timers, timeout string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "backend %s\n timeout connect %s\n timeout server %[2]s\n", name, timeout)
	for _, line := range s.conf {
		b.WriteString(" " + line + "\n")
	}
	fmt.Fprintf(&b, " server s %s %s %s\n", addr, strings.ReplaceAll(s.server, "@", strconv.Itoa(int(addr.Port()))), timers)
	return b.String()
}

// TestAsHAProxy runs one check of each scenario and compares what it reports.
func TestAsHAProxy(t *testing.T) {
	for _, s := range scenarios(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			fake, addr := s.start(t)
			run := s.checkOnce
			if strings.Contains(s.want, "TOUT") {
				run = s.checkSilence
			}
			if got := run(t, addr); got != s.want {
				t.Errorf("\n got %s\nwant %s", got, s.want)
			}
			if s.sent == "" {
				return
			}
			select {
			case <-fake.came:
			case <-time.After(patience):
			}
			fake.mu.Lock()
			defer fake.mu.Unlock()
			if string(fake.sent) != s.sent {
				t.Errorf("sent %q, want %q", fake.sent, s.sent)
			}
		})
	}
}

// check runs one check, which may take so long, and returns what it reports.
func (s *scenario) check(t *testing.T, addr netip.AddrPort, atMost time.Duration) string {
	t.Helper()
	timeout := fmt.Sprintf("%dms", atMost.Milliseconds())
	cfg, _, err := config.Parse("t.cfg", []byte(s.backend("b", addr, "inter "+timeout+" rise 1 fall 1", timeout)), config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	srv, spec := specOf(cfg, addr)
	if s.agent() {
		spec.runAgent(t.Context(), direct, addr)
	}
	if spec.Options.Enabled {
		spec.run(t.Context(), direct, addr)
	}
	return report(srv, s.agent())
}

// checkOnce runs a check that ends by what the server does.
func (s *scenario) checkOnce(t *testing.T, addr netip.AddrPort) string {
	t.Helper()
	return s.check(t, addr, patience)
}

// checkSilence has a check end by its time. Where it is then depends on how far the machine got: one that stalls gets more.
func (s *scenario) checkSilence(t *testing.T, addr netip.AddrPort) (got string) {
	t.Helper()
	for atMost := 400 * time.Millisecond; atMost < 10*time.Second; atMost *= 2 {
		if got = s.check(t, addr, atMost); got == s.want || !strings.Contains(got, "TOUT") {
			break
		}
	}
	return got
}

func specOf(cfg *config.Config, addr netip.AddrPort) (*pool.Server, Spec) {
	p, line := cfg.Proxies[0], &cfg.Proxies[0].Servers[0]
	o := pool.DefaultServerOptions()
	o.Name, o.Addr, o.Check, o.Agent, o.Rise, o.Fall, o.Weight = "s", addr, line.Check.Enabled, line.Agent.Enabled, 1, 1, line.Weight
	srv := pool.New(1).AddBackend(pool.BackendOptions{Name: p.Name}).AddServer(o)
	return srv, SpecOf(srv, p, line, "node")
}

// report is a server's state in the columns of testdata/haproxy.txt.
func report(s *pool.Server, agent bool) string {
	v := s.View()
	r := v.Check
	if agent {
		r = v.Agent
	}
	code := ""
	if r.Status >= pool.CheckL7OK {
		code = strconv.Itoa(r.Code)
	}
	columns := []string{v.Status, r.Status.String(), code, r.Info}
	if agent {
		limit := ""
		if s.Limit() > 0 {
			limit = strconv.Itoa(s.Limit())
		}
		columns = append(columns, strconv.Itoa(v.Weight), limit)
	}
	return strings.Join(columns, "|")
}

// TestHAProxySaysSo measures what testdata/haproxy.txt says of HAProxy.
func TestHAProxySaysSo(t *testing.T) {
	if testing.Short() {
		t.Skip("runs HAProxy for some seconds")
	}
	haproxy := require.Tool(t, "haproxy")
	all := scenarios(t)
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	text := "global\n stats socket " + socket + " level admin\ndefaults\n timeout client 1s\n"
	for i, s := range all {
		_, addr := s.start(t)
		agent := "1500ms"
		if strings.Contains(s.name, "silent") || strings.Contains(s.name, "nonl") {
			agent = "1s"
		}
		text += s.backend("b"+strconv.Itoa(i), addr, "inter 1s fastinter 20s downinter 20s rise 1 fall 1 agent-inter "+agent, "1s")
	}
	text += "listen l\n bind " + filepath.Join(dir, "l") + "\n timeout connect 1s\n timeout server 1s\n"
	file := filepath.Join(dir, "h.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	left := make(map[string]*scenario)
	for i, s := range all {
		left["b"+strconv.Itoa(i)] = s
	}
	// A check whose time was over before HAProxy got to it on a machine that stalled has its say in the next run.
	for range 5 {
		said := askHAProxy(t, haproxy, file, socket, left, 15*time.Second)
		if len(left) == 0 {
			return
		}
		t.Logf("%d of %d scenarios differ\n%s", len(left), len(all), said)
	}
	t.Fail()
}

// askHAProxy runs HAProxy until it says of all scenarios, by their backends, what is wanted, at most for so long; those of
// which it does are taken out. It returns what HAProxy wrote.
func askHAProxy(t *testing.T, haproxy, file, socket string, left map[string]*scenario, atMost time.Duration) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), haproxy, "-db", "-f", file)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &said, &said, time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// A row is looked at when it holds still: HAProxy marks checks that run, and clears their words.
	last := make(map[string]string)
	for deadline := time.Now().Add(atMost); len(left) > 0 && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		for _, row := range showStat(socket) {
			s := left[row["# pxname"]]
			if row["svname"] != "s" || s == nil {
				continue
			}
			columns := []string{row["status"], row["check_status"], row["check_code"], row["last_chk"]}
			if s.agent() {
				columns = []string{row["status"], row["agent_status"], row["agent_code"], row["last_agt"], row["weight"], row["slim"]}
			}
			last[s.name] = strings.Join(columns, "|")
			if last[s.name] == s.want {
				delete(left, row["# pxname"])
			}
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	for _, s := range left {
		t.Logf("%s: HAProxy says %s", s.name, last[s.name])
	}
	return said.String()
}

func showStat(socket string) []map[string]string {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return nil // not there yet
	}
	defer c.Close()
	fmt.Fprintln(c, "show stat")
	rows, err := csv.NewReader(c).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil
	}
	var all []map[string]string
	for _, r := range rows[1:] {
		m := make(map[string]string)
		for i, cell := range r {
			m[rows[0][i]] = cell
		}
		all = append(all, m)
	}
	return all
}
