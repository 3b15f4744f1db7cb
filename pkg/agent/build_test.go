package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
	"waggle/pkg/datapath"
	"waggle/pkg/offload"
	"waggle/pkg/pool"
)

// parse reads a configuration that the test holds to be right.
func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, _, err := config.Parse("test.cfg", []byte(text), config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

const swarm = `
global
    maxconn 256
resolvers docker
    nameserver dns1 127.0.0.11:53
defaults
    timeout connect 1s
    timeout client 30s
    timeout server 30s
frontend web_in
    mode http
    bind *:80
    use_backend stat if { path /stats }
    default_backend web
frontend tcp_in
    bind *:81
    bind 10.0.0.1:82
    maxconn 50
    default_backend tasks
listen both
    bind *:83
    server a 10.0.0.9:90 weight 3
    server b 10.0.0.8:90 disabled
backend web
    mode http
    server-template web- 2-4 web:8000 check resolvers docker init-addr libc,none
backend tasks
    timeout tunnel 1h
    server-template task- 3 tasks.web:8000 resolvers docker init-addr none weight 2 maxconn 7
backend stat
    mode http
    stats enable
`

func TestThePoolOfAConfiguration(t *testing.T) {
	cfg := parse(t, swarm)
	found := map[string][]netip.Addr{"web": {netip.MustParseAddr("10.0.1.3"), netip.MustParseAddr("10.0.1.4")}}
	b, err := build(cfg, 2, 256, found, nil, datapath.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range b.pool.Frontends {
		got = append(got, fmt.Sprintf("frontend %s id %d mode %s maxconn %d", f.Name, f.ID, f.Mode, f.MaxConn))
	}
	for _, be := range b.pool.Backends {
		got = append(got, fmt.Sprintf("backend %s id %d mode %s fullconn %d", be.Name, be.ID, be.Mode, be.FullConn))
		for _, s := range be.Servers() {
			v := s.View()
			got = append(got, fmt.Sprintf("  %s %s %s weight %d", s.Name, v.Addr, v.Status, v.Weight))
		}
	}
	want := []string{
		"frontend web_in id 2 mode http maxconn 256",
		"frontend tcp_in id 3 mode tcp maxconn 50",
		"frontend both id 4 mode tcp maxconn 256",
		"backend both id 4 mode tcp fullconn 26",
		"  a 10.0.0.9:90 no check weight 3",
		"  b 10.0.0.8:90 MAINT weight 1",
		"backend web id 5 mode http fullconn 26",
		"  web-2 10.0.1.3:8000 UP 1/3 weight 1",
		"  web-3 10.0.1.4:8000 UP 1/3 weight 1",
		"  web-4 invalid AddrPort MAINT (resolution) weight 1",
		"backend tasks id 6 mode tcp fullconn 5",
		"  task-1 invalid AddrPort MAINT (resolution) weight 2",
		"  task-2 invalid AddrPort MAINT (resolution) weight 2",
		"  task-3 invalid AddrPort MAINT (resolution) weight 2",
		"backend stat id 7 mode http fullconn 26",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if len(b.groups) != 2 || len(b.checks) != 3 {
		t.Errorf("%d groups and %d checked servers, want 2 and 3", len(b.groups), len(b.checks))
	}
}

func TestInitAddr(t *testing.T) {
	known := map[string][]netip.Addr{"web": {netip.MustParseAddr("10.0.1.3"), netip.MustParseAddr("2001:db8::3")}}
	for _, tc := range []struct {
		line string
		want string // the first server's address, or an error
	}{
		{"server a web:80", "10.0.1.3:80"},
		{"server a web:80 resolve-prefer ipv6", "[2001:db8::3]:80"},
		{"server a web:80 init-addr none", "invalid AddrPort"},
		{"server a web:80 init-addr 10.9.9.9,none", "10.9.9.9:80"},
		{"server a gone:80 init-addr libc,10.9.9.9", "10.9.9.9:80"},
		{"server a gone:80 resolvers docker", "invalid AddrPort"},
		{"server a gone:80", "[test.cfg:7] : 'server be/a' : could not resolve address 'gone'"},
		{"server a gone:80 init-addr last,libc", "[test.cfg:7] : 'server be/a' : could not resolve address 'gone'"},
	} {
		cfg := parse(t, "resolvers docker\n nameserver d 127.0.0.11:53\nbackend be\n timeout connect 1s\n timeout server 1s\n\n "+tc.line+"\n")
		b, err := build(cfg, 1, 10, known, nil, datapath.Identities{})
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = b.pool.Backends[0].Servers()[0].View().Addr.String()
		}
		if got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.line, got, tc.want)
		}
	}
}

func TestLookupInitialAsksEachHostOnce(t *testing.T) {
	cfg := parse(t, swarm)
	asked := make(chan string, 10)
	found := lookupInitial(t.Context(), cfg, func(ctx context.Context, host string) ([]netip.Addr, error) {
		asked <- host
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("the look-up has no deadline")
		}
		if host != "web" {
			return nil, errors.New("no such host")
		}
		return []netip.Addr{netip.MustParseAddr("10.0.1.4"), netip.MustParseAddr("10.0.1.3"), netip.MustParseAddr("10.0.1.4")}, nil
	})
	if len(asked) != 1 {
		t.Errorf("%d look-ups, want 1: only web has libc among its methods", len(asked))
	}
	want := []netip.Addr{netip.MustParseAddr("10.0.1.3"), netip.MustParseAddr("10.0.1.4")}
	if !slices.Equal(found["web"], want) {
		t.Errorf("web is at %v, want %v", found["web"], want)
	}
}

func TestWhatTheKernelIsTold(t *testing.T) {
	cfg := parse(t, swarm)
	b, err := build(cfg, 2, 256, nil, nil, datapath.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	k := newKernel(b.pool, offload.Explain(cfg), &logs{}, nil, datapath.Identities{})
	tasks := b.pool.Backend("tasks")
	tasks.Groups()[0].Resolve(pool.Resolution{Records: []pool.Record{
		{Addr: netip.MustParseAddr("10.0.1.3")}, {Addr: netip.MustParseAddr("10.0.1.4")},
	}})
	d := k.desired()
	if d.GlobalLimit != 256 {
		t.Errorf("global limit %d, want 256", d.GlobalLimit)
	}
	var got []string
	for _, s := range d.Services {
		line := fmt.Sprintf("%s %s limit %d tunnel %s:", s.Name, s.Binds, s.Limit, s.Timeouts.Tunnel)
		names := map[uint32]datapath.Server{}
		for _, server := range s.Servers {
			names[server.ID] = server
		}
		for _, id := range s.Schedule {
			line += fmt.Sprintf(" %s@%s<%d", names[id].Name, names[id].Addr, names[id].Limit)
		}
		got = append(got, line)
	}
	want := []string{
		"tcp_in [0.0.0.0:81 10.0.0.1:82] limit 50 tunnel 1h0m0s: tasks/task-1@10.0.1.3:8000<7 tasks/task-2@10.0.1.4:8000<7",
		"both [0.0.0.0:83] limit 256 tunnel 0s: both/a@10.0.0.9:90<0",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if path := b.pool.Frontend("web_in").Path(); path.Kernel || !strings.Contains(path.Reason, "mode http") {
		t.Errorf("web_in: %+v", path)
	}
}

func TestLogGlobalIsResolved(t *testing.T) {
	global := []config.LogTarget{{Address: "stdout", Format: "raw", Facility: "local0"}}
	got := targetsOf([]config.LogTarget{{Inherit: true}, {Address: "127.0.0.1:514", Facility: "local1", Level: "err"}}, global, nil)
	if len(got) != 2 || got[0].Address != "stdout" || got[0].Format != "raw" || got[1].Address != "127.0.0.1:514" || got[1].Level != "err" {
		t.Errorf("targets %+v", got)
	}
}

func TestUnwantedEntries(t *testing.T) {
	normal, null := config.Options{DontLogNormal: true}, config.Options{DontLogNull: true}
	fine, broken := [4]byte{'-', '-'}, [4]byte{'S', 'D'}
	for _, tc := range []struct {
		options config.Options
		entry   accesslog.Entry
		want    bool
	}{
		{config.Options{}, accesslog.Entry{State: fine}, false},
		{normal, accesslog.Entry{State: fine, Status: 404}, true},
		{normal, accesslog.Entry{State: fine, Status: 500}, false},
		{normal, accesslog.Entry{State: fine, Retries: 1}, false},
		{normal, accesslog.Entry{State: fine, Redispatched: true}, false},
		{normal, accesslog.Entry{State: [4]byte{'L', 'R'}, Status: 302}, true}, // our own answer
		{normal, accesslog.Entry{State: [4]byte{'P', 'R'}, Status: 403}, false},
		{normal, accesslog.Entry{State: broken}, false},
		{null, accesslog.Entry{State: broken, Bytes: 10}, true}, // a banner that nobody answered
		{null, accesslog.Entry{State: broken, Uploaded: 1}, false},
		{null, accesslog.Entry{State: fine, HTTPMode: true}, false},
	} {
		if got := unwanted(&config.Proxy{Options: tc.options}, &tc.entry, failure(&tc.entry)); got != tc.want {
			t.Errorf("%+v of %+v: %v", tc.entry, tc.options, got)
		}
	}
}

func TestMaxConnWithoutAWordFollowsTheFileLimit(t *testing.T) {
	if got := maxConn(&config.Config{Global: config.Global{MaxConn: 77}}); got != 77 {
		t.Errorf("configured 77, got %d", got)
	}
	if got, files := maxConn(&config.Config{}), openFiles(); got < 1 || 2*got > files {
		t.Errorf("%d connections with %d files", got, files)
	}
}

func TestHealthAsksTheLoops(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := AskHealth(ctx, "@waggle-test-nobody"); err == nil {
		t.Error("nobody listens, and the answer is healthy")
	}
}
