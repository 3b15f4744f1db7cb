package agent

import (
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/datapath"
	"waggle/pkg/offload"
	"waggle/pkg/pool"
)

// told is what the kernel path is told of the only service of a configuration.
func told(t *testing.T, balance string) datapath.Service {
	t.Helper()
	cfg := parse(t, `
listen tcp
    bind :80
    `+balance+`
    server a 10.0.0.1:80 weight 2
    server b 10.0.0.2:80 weight 1
    server c 10.0.0.3:80 backup
`)
	b, err := build(cfg, 1, 256, nil, nil, datapath.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	d := newKernel(b.pool, offload.Explain(cfg), &logs{}, nil, datapath.Identities{}).desired()
	if len(d.Services) != 1 {
		t.Fatalf("%d services: %v", len(d.Services), offload.Explain(cfg)[0].Reasons)
	}
	return d.Services[0]
}

func TestAlgorithmsInTheKernelsWords(t *testing.T) {
	for line, want := range map[string]struct {
		algorithm datapath.Algorithm
		draws     uint32
		slots     []uint32 // the first ones
		of        int
	}{
		"":                   {datapath.RoundRobin, 0, []uint32{1, 2, 1}, 3},
		"balance static-rr":  {datapath.RoundRobin, 0, []uint32{1, 2, 1}, 3},
		"balance leastconn":  {datapath.LeastConn, 0, []uint32{1, 2}, 2},
		"balance first":      {datapath.First, 0, []uint32{1, 2}, 2},
		"balance random":     {datapath.Random, 2, []uint32{1, 2, 1}, 3},
		"balance random(7)":  {datapath.Random, 7, []uint32{1, 2, 1}, 3},
		"balance source":     {datapath.Source, 0, nil, 16381},
		"option allbackups":  {datapath.RoundRobin, 0, []uint32{1, 2, 1}, 3},
		"balance roundrobin": {datapath.RoundRobin, 0, []uint32{1, 2, 1}, 3},
	} {
		s := told(t, line)
		if s.Algorithm != want.algorithm || s.Draws != want.draws || len(s.Schedule) != want.of ||
			!slices.Equal(s.Schedule[:len(want.slots)], want.slots) {
			t.Errorf("%q: algorithm %d, %d draws, %d slots %v", line, s.Algorithm, s.Draws, len(s.Schedule), s.Schedule[:3-want.of%2])
		}
		if s.Servers[0].Weight != 2*s.Servers[1].Weight {
			t.Errorf("%q: weights %d and %d", line, s.Servers[0].Weight, s.Servers[1].Weight)
		}
	}
}

// The verdict promises what the kernel path can do: the numbers are the same.
func TestVerdictsKnowTheKernelsBounds(t *testing.T) {
	be := &config.Proxy{Kind: config.Listen, Name: "l", Binds: []config.Bind{{Addr: netip.MustParseAddrPort("0.0.0.0:80")}}}
	cfg := &config.Config{Proxies: []*config.Proxy{be}}
	kernel := func(balance config.Balance, servers int) bool {
		be.Balance, be.Servers = balance, []config.Server{{Name: "s", Low: 1, High: servers, Addr: netip.AddrPortFrom(netip.Addr{}, 80)}}
		return offload.Decide(cfg, be).Kernel
	}
	random := func(draws string) config.Balance {
		return config.Balance{Algorithm: "random", Args: []string{draws}}
	}
	if datapath.MaxDraws != 16 || !kernel(random("16"), 1) || kernel(random("17"), 1) {
		t.Error("draws")
	}
	least := config.Balance{Algorithm: "leastconn"}
	if !kernel(least, datapath.MaxScan) || kernel(least, datapath.MaxScan+1) {
		t.Error("servers of leastconn")
	}
}

func TestWhichRetriesAreRedispatched(t *testing.T) {
	for line, want := range map[string][2]uint32{ // retries, redispatch
		"": {3, 0}, "retries 5": {5, 0}, "option redispatch": {3, 1}, "option redispatch 2": {3, 1},
		"balance leastconn\n    option redispatch":    {3, 3}, // the last one
		"balance source\n    option redispatch 2":     {3, 2},
		"balance first\n    option redispatch -2":     {3, 2}, // the second from the end
		"option redispatch\n    no option redispatch": {3, 0},
	} {
		if s := told(t, line); s.Retries != want[0] || s.Redispatch != want[1] {
			t.Errorf("%q: %d retries, redispatch %d; want %v", line, s.Retries, s.Redispatch, want)
		}
	}
}

// Of each timeout the kernel path is told the one of the side that it belongs to, and of maxconn that of the frontend, or
// of the process where it has none, and of each server.
func TestTimeoutsAndLimitsInTheKernelsWords(t *testing.T) {
	cfg := parse(t, `
defaults
    mode tcp
frontend bounded
    bind :80
    maxconn 40
    timeout client 11s
    timeout client-fin 12s
    default_backend tasks
frontend unbounded
    bind :81
    timeout client 13s
    default_backend tasks
backend tasks
    timeout connect 14s
    timeout server 15s
    timeout server-fin 16s
    timeout tunnel 17s
    server a 10.0.0.1:80 maxconn 6
    server b 10.0.0.2:80
`)
	b, err := build(cfg, 1, 500, nil, nil, datapath.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	d := newKernel(b.pool, offload.Explain(cfg), &logs{}, nil, datapath.Identities{}).desired()
	if len(d.Services) != 2 || d.GlobalLimit != 500 {
		t.Fatalf("%+v", d)
	}
	const s = time.Second
	for i, want := range []datapath.Service{
		{Limit: 40, Timeouts: datapath.Timeouts{Connect: 14 * s, Client: 11 * s, Server: 15 * s, Tunnel: 17 * s, ClientFin: 12 * s, ServerFin: 16 * s}},
		{Limit: 500, Timeouts: datapath.Timeouts{Connect: 14 * s, Client: 13 * s, Server: 15 * s, Tunnel: 17 * s, ServerFin: 16 * s}},
	} {
		got := d.Services[i]
		if got.Limit != want.Limit || got.Timeouts != want.Timeouts {
			t.Errorf("%s: limit %d, %+v; want %d, %+v", got.Name, got.Limit, got.Timeouts, want.Limit, want.Timeouts)
		}
		if got.Servers[0].Limit != 6 || got.Servers[1].Limit != 0 {
			t.Errorf("%s: servers %+v", got.Name, got.Servers)
		}
	}
}

// Servers are connected to from the source addresses of their family; what the configuration says of a server comes first.
func TestSourcesInTheKernelsWords(t *testing.T) {
	cfg := parse(t, `
listen four
    bind :80
    server a 10.0.0.1:80
listen six
    bind [::]:81 v6only
    server a [2001:db8::1]:80
listen told
    bind :82
    source 10.0.0.7
    server a 10.0.0.1:80
    server b 10.0.0.2:80 source 10.0.0.8
    server c 10.0.0.3:80 source 0.0.0.0
`)
	b, err := build(cfg, 1, 256, nil, nil, datapath.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	k := newKernel(b.pool, offload.Explain(cfg), &logs{}, nil, datapath.Identities{})
	four, six := netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("2001:db8::9")
	k.sources = []netip.Addr{four, six}
	got := make(map[string][][]netip.Addr)
	for _, s := range k.desired().Services {
		for _, v := range s.Servers {
			got[s.Name] = append(got[s.Name], v.Sources)
		}
	}
	want := map[string][][]netip.Addr{
		"four": {{four}}, "six": {{six}}, "told": {{netip.MustParseAddr("10.0.0.7")}, {netip.MustParseAddr("10.0.0.8")}, {four}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// Servers that an operator adds, or a name turns out to be, may be such as cannot be the kernel's: then all of the
// backend's connections are userspace's.
func TestServersThatAreNotTheKernels(t *testing.T) {
	for what, change := range map[string]func(*pool.ServerOptions){
		"source ports":      func(o *pool.ServerOptions) { o.Source = pool.Source{Low: 1, High: 2} },
		"source interface":  func(o *pool.ServerOptions) { o.Source = pool.Source{Interface: "lo"} },
		"source of IPv6":    func(o *pool.ServerOptions) { o.Source = pool.Source{Addr: netip.IPv6Loopback()} },
		"send-proxy":        func(o *pool.ServerOptions) { o.SendProxy = 1 },
		"the client's port": func(o *pool.ServerOptions) { o.Addr, o.MapPort = netip.AddrPortFrom(o.Addr.Addr(), 0), true },
		"a port by an offset": func(o *pool.ServerOptions) {
			o.Addr, o.MapPort, o.PortOffset = netip.AddrPortFrom(o.Addr.Addr(), 0), true, 10
		},
		"a mapped address": func(o *pool.ServerOptions) { o.Addr = netip.MustParseAddrPort("[::ffff:10.0.0.2]:80") },
	} {
		cfg := parse(t, "listen l\n    bind :80\n    server a 10.0.0.1:80\n")
		b, err := build(cfg, 1, 256, nil, nil, datapath.Identities{})
		if err != nil {
			t.Fatal(err)
		}
		k := newKernel(b.pool, offload.Explain(cfg), &logs{}, nil, datapath.Identities{})
		if n := len(k.desired().Services[0].Schedule); n != 1 {
			t.Fatalf("%d slots before", n)
		}
		o := pool.DefaultServerOptions()
		o.Name, o.Addr = "added", netip.MustParseAddrPort("10.0.0.2:80")
		change(&o)
		b.pool.Backend("l").AddServer(o)
		if s := k.desired().Services[0]; len(s.Schedule) != 0 || len(s.Servers) != 0 {
			t.Errorf("%s: %d slots, %d servers", what, len(s.Schedule), len(s.Servers))
		}
	}
}

// The same goes for more servers than the kernel path can choose among.
func TestMoreServersThanTheKernelTakes(t *testing.T) {
	cfg := parse(t, fmt.Sprintf("resolvers r\n    nameserver n 127.0.0.1:53\nlisten l\n    bind :80\n    balance leastconn\n    server-template s 1-%d 10.0.0.1:80\n", datapath.MaxScan))
	b, err := build(cfg, 1, 256, nil, nil, datapath.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	k := newKernel(b.pool, offload.Explain(cfg), &logs{}, nil, datapath.Identities{})
	if n := len(k.desired().Services[0].Schedule); n != datapath.MaxScan {
		t.Fatalf("%d slots before", n)
	}
	o := pool.DefaultServerOptions()
	o.Name, o.Addr = "added", netip.MustParseAddrPort("10.0.0.2:80")
	b.pool.Backend("l").AddServer(o)
	if s := k.desired().Services[0]; len(s.Schedule) != 0 {
		t.Errorf("%d slots", len(s.Schedule))
	}
}

// Connections to the sockets of frontends that are userspace's are left to them, although a frontend of the kernel path covers
// their addresses; but not while they do not listen.
func TestSocketsInTheKernelsWords(t *testing.T) {
	cfg := parse(t, `
listen tcp
    bind :80
    server a 10.0.0.1:80
listen web
    mode http
    bind 10.0.0.7:80
    bind :::81 v6only
    server a 10.0.0.1:80
`)
	b, err := build(cfg, 1, 256, nil, nil, datapath.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	k := newKernel(b.pool, offload.Explain(cfg), &logs{}, nil, datapath.Identities{})
	want := []datapath.Bind{{AddrPort: netip.MustParseAddrPort("10.0.0.7:80")}, {AddrPort: netip.MustParseAddrPort("[::]:81"), V6Only: true}}
	if d := k.desired(); len(d.Services) != 1 || !slices.Equal(d.Sockets, want) {
		t.Errorf("%d services, sockets %v, want %v", len(d.Services), d.Sockets, want)
	}
	b.pool.Frontend("web").SetSwitch(pool.SwitchedOff)
	if d := k.desired(); len(d.Sockets) != 0 {
		t.Errorf("sockets %v of a frontend that is off", d.Sockets)
	}
}

// A server that an operator removes while a reload takes it away departs once: its key must not go to two others.
func TestAServerDepartsOnce(t *testing.T) {
	p := pool.New(1)
	b := p.AddBackend(pool.BackendOptions{Name: "be"})
	s := b.AddServer(pool.DefaultServerOptions())
	k := newKernel(p, nil, nil, slog.New(slog.DiscardHandler), datapath.Identities{})
	k.dismiss(s)
	if err := k.swap(k.plan(), &pool.Takeover{Removed: []*pool.Server{s}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		k.reap(time.Now().Add(2 * settleTime))
	}
	keys := map[uint32]bool{}
	for _, name := range []string{"a", "b", "c"} {
		o := pool.DefaultServerOptions()
		o.Name = name
		added, err := b.AddDynamic(o, 0)
		if err != nil {
			t.Fatal(err)
		}
		if keys[added.Key] {
			t.Errorf("key %d has two servers", added.Key)
		}
		keys[added.Key] = true
	}
}

// A frontend whose backend is disabled has nothing that the kernel path could serve.
func TestADisabledBackendIsNotTheKernels(t *testing.T) {
	cfg := parse(t, "frontend f\n    bind :80\n    default_backend b\nbackend b\n    disabled\n    server a 10.0.0.1:80\n")
	b, err := build(cfg, 1, 256, nil, nil, datapath.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	if d := newKernel(b.pool, offload.Explain(cfg), &logs{}, nil, datapath.Identities{}).desired(); len(d.Services) != 0 {
		t.Errorf("%+v", d.Services)
	}
}
