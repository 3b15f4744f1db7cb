package offload

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/sample"
	"waggle/pkg/unixaddr"
)

// plain returns a TCP frontend and a backend that the kernel can take whole.
func plain() (*config.Config, *config.Proxy, *config.Proxy) {
	be := &config.Proxy{Kind: config.Backend, Name: "tasks", Servers: []config.Server{
		{Name: "web-", Low: 1, High: 3, Host: "web", Addr: netip.AddrPortFrom(netip.Addr{}, 8000), Weight: 1},
	}}
	fe := &config.Proxy{Kind: config.Frontend, Name: "tcp", DefaultBackend: "tasks", Binds: []config.Bind{
		{Addr: netip.MustParseAddrPort("0.0.0.0:8001")},
	}}
	return &config.Config{Proxies: []*config.Proxy{fe, be}}, fe, be
}

func TestPlainTCPIsTheKernels(t *testing.T) {
	cfg, _, be := plain()
	v := Explain(cfg)
	if len(v) != 1 || !v[0].Kernel || v[0].Backend != be {
		t.Fatalf("Explain = %+v", v)
	}
	if got := v[0].Summary(); got != "plain TCP to backend tasks" {
		t.Errorf("summary %q", got)
	}
}

func TestLogsAndShutdownSessionsAreTheKernelsToo(t *testing.T) {
	cfg, fe, be := plain()
	fe.Logs = []config.LogTarget{{Address: "stdout"}}
	fe.Options.TCPLog = true
	be.Servers[0].ShutdownSessions = true
	be.Source = config.Source{Written: true, Addr: netip.MustParseAddr("10.0.0.9")}
	if v := Decide(cfg, fe); !v.Kernel {
		t.Errorf("Decide = %+v", v)
	}
}

// Every algorithm that chooses without a request is the kernel's too, and so are weights that warm up.
func TestAlgorithmsOfTheKernel(t *testing.T) {
	for _, name := range []string{"", "roundrobin", "static-rr", "leastconn", "first", "source", "random"} {
		cfg, fe, be := plain()
		be.Balance.Algorithm = name
		be.Servers[0].Slowstart = time.Minute
		be.Servers[0].Backup, be.Options.AllBackups = true, true
		if v := Decide(cfg, fe); !v.Kernel {
			t.Errorf("balance %q: %+v", name, v.Reasons)
		}
	}
	cfg, fe, be := plain()
	be.Balance = config.Balance{Algorithm: "random", Args: []string{"16"}}
	if v := Decide(cfg, fe); !v.Kernel {
		t.Errorf("%+v", v.Reasons)
	}
}

func TestAListenSectionIsItsOwnBackend(t *testing.T) {
	cfg, fe, be := plain()
	fe.Kind, fe.DefaultBackend, fe.Servers = config.Listen, "", be.Servers
	if v := Decide(cfg, fe); !v.Kernel || v.Backend != fe {
		t.Fatalf("Decide = %+v", v)
	}
}

func TestWhatKeepsAFrontendInUserspace(t *testing.T) {
	for _, tc := range []struct {
		change func(fe, be *config.Proxy)
		want   string
	}{
		{func(fe, _ *config.Proxy) { fe.HTTP = true }, "mode http"},
		{func(fe, _ *config.Proxy) { fe.Binds = nil }, "no bind line"},
		{func(fe, _ *config.Proxy) { fe.Binds[0].AcceptProxy = true }, "accept-proxy"},
		{func(fe, _ *config.Proxy) { fe.Binds[0].TLS.Enabled = true }, "ssl: TLS is spoken in userspace"},
		{func(_, be *config.Proxy) { be.Servers[0].TLS.Enabled = true }, "TLS is spoken in userspace"},
		{func(fe, _ *config.Proxy) { fe.Binds[0].Addr = netip.MustParseAddrPort("[fe80::1%eth0]:80") }, "unique"},
		{func(fe, _ *config.Proxy) { fe.Binds[0].Interface = "eth0" }, "interface eth0"},
		{func(fe, _ *config.Proxy) { fe.Binds[0].UserTimeout = time.Second }, "tcp-ut: the client's TCP"},
		{func(_, be *config.Proxy) { be.Servers[0].UserTimeout = time.Second }, "tcp-ut: its TCP"},
		{func(fe, _ *config.Proxy) { fe.Options.NoLinger = true }, "nolinger: the client's TCP"},
		{func(_, be *config.Proxy) { be.Options.NoLinger = true }, "nolinger: the server's TCP"},
		{func(fe, _ *config.Proxy) { fe.Binds[0].Addr = unixaddr.Of("/run/x") }, "bind unix@/run/x: what comes by a unix socket"},
		{func(_, be *config.Proxy) { be.Servers[0].Addr = unixaddr.Of("/run/x") }, "what goes to a unix socket"},
		{func(fe, _ *config.Proxy) { fe.Binds[0].MaxConn = 3 }, "maxconn of a bind line"},
		{func(fe, _ *config.Proxy) { fe.RateLimit = 3 }, "rate-limit sessions: the kernel counts no sessions by the second"},
		{func(fe, _ *config.Proxy) { fe.UseBackend = []config.UseBackend{{Backend: "tasks"}} }, "use_backend"},
		{func(fe, _ *config.Proxy) { fe.HTTPRequest = []config.HTTPRule{{}} }, "rules"},
		{func(_, be *config.Proxy) { be.UseServer = []config.UseServer{{}} }, "use-server"},
		{func(_, be *config.Proxy) { be.Stick = []config.StickRule{{}} }, "stick"},
		{func(fe, _ *config.Proxy) { fe.MonitorURI = "/up" }, "monitor-uri"},
		{func(fe, _ *config.Proxy) { fe.Stats = &config.Stats{} }, "stats"},
		{func(fe, _ *config.Proxy) {
			fe.Logs, fe.LogFormat = []config.LogTarget{{Address: "stdout"}}, &sample.Format{}
		}, "log-format"},
		{func(fe, _ *config.Proxy) {
			fe.Logs, fe.Options.LogASAP = []config.LogTarget{{Address: "stdout"}}, true
		}, "logasap"},
		{func(fe, _ *config.Proxy) { fe.DefaultBackend = "" }, "no default_backend"},
		{func(fe, _ *config.Proxy) { fe.DefaultBackend = "nobody" }, "nobody does not exist"},
		{func(_, be *config.Proxy) { be.Disabled = true }, "default_backend tasks is disabled"},
		{func(_, be *config.Proxy) { be.Balance.Algorithm = "uri" }, "balance uri"},
		{func(_, be *config.Proxy) { be.Balance.Algorithm, be.Servers[0].High = "leastconn", 1025 }, "leastconn over 1025 servers"},
		{func(_, be *config.Proxy) { be.Balance.Algorithm, be.Servers[0].High = "first", 1025 }, "first over 1025 servers"},
		{func(_, be *config.Proxy) { be.Balance = config.Balance{Algorithm: "random", Args: []string{"17"}} }, "17 draws"},
		{func(_, be *config.Proxy) { be.Servers[0].Addr = netip.AddrPort{} }, "its port follows"},
		{func(_, be *config.Proxy) { be.Servers = nil }, "has no server"},
		{func(_, be *config.Proxy) { be.Stats = &config.Stats{} }, "stats"},
		{func(_, be *config.Proxy) { be.Servers[0].SendProxy = 2 }, "send-proxy"},
		{func(_, be *config.Proxy) { be.Servers[0].MinConn, be.Servers[0].MaxConn = 1, 2 }, "minconn"},
		{func(_, be *config.Proxy) { be.Source = config.Source{Written: true, Interface: "eth1"} }, "source interface eth1"},
		{func(_, be *config.Proxy) { be.Servers[0].Source = config.Source{Written: true, Low: 1, High: 2} }, "source ports"},
		{func(_, be *config.Proxy) {
			be.Servers[0].Addr = netip.MustParseAddrPort("10.0.0.1:80")
			be.Source = config.Source{Written: true, Addr: netip.IPv6Loopback()}
		}, "not of the family"},
		{func(_, be *config.Proxy) { be.Servers[0].Addr = netip.MustParseAddrPort("[2001:db8::1]:80") }, "its servers are IPv6"},
	} {
		cfg, fe, be := plain()
		tc.change(fe, be)
		v := Decide(cfg, fe)
		if v.Kernel || len(v.Reasons) != 1 || !strings.Contains(v.Reasons[0].Text, tc.want) {
			t.Errorf("want a reason about %q, got %+v", tc.want, v)
		}
	}
}

func TestSummaryCountsFurtherReasons(t *testing.T) {
	cfg, fe, be := plain()
	fe.MonitorURI, be.Servers[0].SendProxy = "/up", 2
	if got := Decide(cfg, fe).Summary(); got != "monitor-uri answers requests (and 1 more)" {
		t.Errorf("summary %q", got)
	}
}

func TestDisabledFrontendsAreNotExplained(t *testing.T) {
	cfg, fe, _ := plain()
	fe.Disabled = true
	if v := Explain(cfg); len(v) != 0 {
		t.Errorf("Explain = %+v", v)
	}
}

// Two sockets of one address get its connections by turns, which only the system can do. One of another port, or of an address
// that the other one's wildcard covers, is no such case: the more explicit one gets all of its own.
func TestFrontendsWithOneAddress(t *testing.T) {
	for bind, shared := range map[string]bool{"0.0.0.0:8001": true, "0.0.0.0:8002": false, "192.0.2.1:8001": false} {
		cfg, fe, _ := plain()
		other := &config.Proxy{Kind: config.Frontend, Name: "web", HTTP: true, Binds: []config.Bind{{Addr: netip.MustParseAddrPort(bind)}}}
		cfg.Proxies = append(cfg.Proxies, other)
		v := Decide(cfg, fe)
		if v.Kernel == shared || shared && !strings.Contains(v.Summary(), "frontend web listens there, too") {
			t.Errorf("%s: %+v", bind, v)
		}
		other.Disabled = true
		if v := Decide(cfg, fe); !v.Kernel {
			t.Errorf("%s of a disabled frontend: %+v", bind, v)
		}
	}
}
