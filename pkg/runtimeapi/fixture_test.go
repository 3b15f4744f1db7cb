package runtimeapi

import (
	"net/netip"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/stats"
)

type fixed struct{ s *stats.Snapshot }

func (f fixed) Snapshot() *stats.Snapshot { return f.s }

// balancer is a frontend with a backend of two servers, the second without an address, and a backend
// whose weights are fixed.
func balancer() *stats.Snapshot {
	p := pool.New(1)
	fe := p.AddFrontend("in", pool.HTTP, 100)
	web := p.AddBackend(pool.BackendOptions{Name: "web", Mode: pool.HTTP, FullConn: 10})
	o := pool.DefaultServerOptions()
	o.Name, o.Addr, o.Weight, o.Check = "one", netip.MustParseAddrPort("10.0.0.1:80"), 4, true
	one := web.AddServer(o)
	one.ReportCheck(pool.CheckResult{Status: pool.CheckL4OK, Duration: time.Millisecond})
	one.Sessions.Add(2)
	one.Idle.Add(1)
	o = pool.DefaultServerOptions()
	o.Name, o.Addr, o.FQDN, o.Check = "two", netip.AddrPortFrom(netip.Addr{}, 80), "task", true
	web.AddServer(o)
	still := p.AddBackend(pool.BackendOptions{Name: "still"})
	o = pool.DefaultServerOptions()
	o.Name, o.Addr = "s", netip.MustParseAddrPort("10.0.0.9:80")
	still.AddServer(o)
	return &stats.Snapshot{Now: time.Now(), Pool: p,
		Process: stats.Process{PID: 42, Version: "0.1.0", Node: "edge-1", Started: time.Now().Add(-time.Hour), MaxConn: 100},
		Proxies: []stats.Proxy{
			{Config: &config.Proxy{Name: "in"}, Frontend: fe},
			{Config: &config.Proxy{Name: "web"}, Backend: web},
			{Config: &config.Proxy{Name: "still", Balance: config.Balance{Algorithm: "static-rr"}}, Backend: still},
		},
		Resolvers: []stats.Resolvers{{Name: "docker", Nameservers: []stats.Nameserver{{Name: "dns1", Sent: 9, SendErrors: 1}}}},
	}
}
