package stats

import (
	"fmt"
	"net/netip"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

type fixed struct{ s *Snapshot }

func (f fixed) Snapshot() *Snapshot { return f.s }

// statsProxy is the `backend stat` of the seed.
func statsProxy() *config.Proxy {
	return &config.Proxy{Kind: config.Backend, Name: "stat", HTTP: true,
		Stats: &config.Stats{URI: "/my-stats", Refresh: 15 * time.Second, Legends: true, ShowNode: true}}
}

// swarm is a snapshot of the seed's configuration with a TCP section beside it, in which most things
// that can happen to a server have happened.
func swarm() *Snapshot {
	p := pool.New(1)
	stat := statsProxy()
	fe := p.AddFrontend("haproxyPractice", pool.HTTP, 256)
	fe.SetPath(pool.Path{Reason: "mode http is served in userspace"})
	web := p.AddBackend(pool.BackendOptions{Name: "web_service", Mode: pool.HTTP, FullConn: 26})
	var slots []*pool.Server
	for i := 1; i <= 3; i++ {
		o := pool.DefaultServerOptions()
		o.Name, o.FQDN, o.Check = fmt.Sprintf("web-%d", i), "web", true
		o.Addr = netip.AddrPortFrom(netip.Addr{}, 8000)
		slots = append(slots, web.AddServer(o))
	}
	g := web.AddGroup("web", slots)
	g.Resolve(pool.Resolution{By: "docker/dns1", Cause: pool.CauseNoIP, Records: []pool.Record{
		{Addr: netip.MustParseAddr("10.0.1.5")}, {Addr: netip.MustParseAddr("10.0.1.6")}}})
	slots[0].ReportCheck(pool.CheckResult{Status: pool.CheckL4OK, Duration: 1500 * time.Microsecond})
	statBackend := p.AddBackend(pool.BackendOptions{Name: "stat", Mode: pool.HTTP, FullConn: 26})

	tcpFE, tcpBE := p.AddListen("db", pool.TCP, 100, pool.BackendOptions{Name: "db", FullConn: 10})
	tcpFE.SetPath(pool.Path{Kernel: true, Reason: "mode tcp with a plain backend"})
	server := func(name, addr string, change func(*pool.ServerOptions)) *pool.Server {
		o := pool.DefaultServerOptions()
		o.Name, o.Addr = name, netip.MustParseAddrPort(addr)
		if change != nil {
			change(&o)
		}
		return tcpBE.AddServer(o)
	}
	plain := server("plain", "10.0.2.1:5432", nil)
	down := server("broken", "10.0.2.2:5432", func(o *pool.ServerOptions) { o.Check, o.MaxConn, o.MaxQueue, o.Cookie = true, 50, 7, "c2" })
	down.ReportCheck(pool.CheckResult{Status: pool.CheckL4Con, Info: `refused, "no" route`, Duration: 3 * time.Millisecond})
	server("drained", "10.0.2.3:5432", nil).SetDrain(true)
	server("shelved", "[fd00::4]:5432", nil).SetMaint(true, pool.CauseCLI)
	server("spare", "10.0.2.5:5432", func(o *pool.ServerOptions) { o.Backup, o.Check = true, true }).
		ReportCheck(pool.CheckResult{Status: pool.CheckL4OK})

	traffic(fe, web, slots)
	p.Tick()
	fe.TLS.Begin()
	for i := range 2 { // two seconds later
		if i == 1 {
			fe.TLS.Shaken(false)
			fe.TLS.Shaken(true)
			fe.TLS.Shaken(true)
			web.TLS.Failed()
		}
		fe.Counters.Shard(1).Sessions.Add(12)
		fe.Counters.Shard(1).BytesOut.Add(1000)
		web.Counters.Shard(1).Sessions.Add(211)
		slots[0].Counters.Shard(1).Sessions.Add(106)
		p.Tick()
		p.ClearMaxima()
	}
	plain.Sessions.Add(1)
	plain.Sessions.SetKernel(4)
	tcpFE.Sessions.SetKernel(4)
	tcpFE.Sessions.Add(1)
	tcpFE.Counters.Shard(pool.KernelShard).Sessions.Add(1200)
	tcpFE.Counters.Shard(1).Sessions.Add(34)
	tcpBE.Counters.Shard(1).ConnErrors.Add(3)

	now := time.Now()
	return &Snapshot{
		Now: now, Pool: p,
		Process: Process{PID: 7, Version: "0.1.0", Revision: "99932c2", GoVersion: "go1.26.0", Node: "edge-1", Description: "front door",
			Started: now.Add(-26*time.Hour - 3*time.Minute), Loops: 1, MaxConn: 256, MaxFiles: 1024, Listeners: 2, WarningCount: 4,
			BusyPercent: 30, Spliced: 4096,
			Config:       Config{Files: []string{"/usr/local/etc/haproxy/haproxy.cfg"}, LoadedAt: now.Add(-time.Hour)},
			Certificates: CertificateReloads{Loaded: 3, Failed: 1}, Shortages: Shortages{Accepts: 5, Connects: 2}},
		Proxies: []Proxy{
			{Config: &config.Proxy{Kind: config.Frontend, Name: "haproxyPractice", HTTP: true,
				Binds: []config.Bind{{Addr: netip.MustParseAddrPort("0.0.0.0:8000")}}}, Frontend: fe},
			{Config: &config.Proxy{Kind: config.Backend, Name: "web_service", HTTP: true, Balance: config.Balance{Algorithm: "roundrobin"}}, Backend: web},
			{Config: stat, Backend: statBackend},
			{Config: &config.Proxy{Kind: config.Listen, Name: "db", Cookie: &config.Cookie{Name: "SRV"},
				Binds: []config.Bind{{Addr: netip.MustParseAddrPort("0.0.0.0:5432")}}}, Frontend: tcpFE, Backend: tcpBE},
		},
		Datapath: Datapath{Mode: "tc", Interfaces: []Interface{{Name: "eth0", Attach: "tcx"}, {Name: "eth1", Attach: "tcx", WithoutXDP: "--datapath=tc"}},
			Reasons: []Reason{
				{Name: "no_server", Text: "No server was usable.", Count: 12, Expected: true},
				{Name: "port_exhausted", Text: "No source port was free.", Count: 2},
				{Name: "fragment", Text: "Fragments go to the stack.", Expected: true},
			},
			Maps:        []MapUse{{"wg_flows", 10, 262144}, {"wg_servers", 5, 1024}},
			SourcePorts: []SourcePorts{{"db", "db1", 17, 31744}, {"db", "db2", 3, 63488}},
			Runs:        2000, RunTime: 3 * time.Millisecond},
		Certificates: []Certificates{{Proxy: "haproxyPractice", Bind: "0.0.0.0:443", Count: 2, Expires: time.Unix(1900000000, 0)}},
		Resolvers:    []Resolvers{{Name: "docker", Nameservers: []Nameserver{{Name: "dns1", Sent: 120, Valid: 118, NX: 2}}}},
		Tables:       []StickTable{{Name: "haproxyPractice", Type: "ip", Used: 3, Size: 10240}},
	}
}

func traffic(fe *pool.Frontend, web *pool.Backend, slots []*pool.Server) {
	f := fe.Counters.Shard(1)
	f.Connections.Add(40)
	f.Sessions.Add(40)
	f.Requests.Add(1234567)
	f.BytesIn.Add(5 << 20)
	f.BytesOut.Add(7 << 30)
	f.ReqErrors.Add(2)
	f.FailedRewrites.Add(6)
	for i, n := range []uint64{0, 1200000, 30000, 4000, 500, 67} {
		f.HTTP[i].Add(n)
	}
	fe.Sessions.Add(9)
	fe.Sessions.Add(-4)
	b := web.Counters.Shard(1)
	b.Sessions.Add(1234000)
	b.Requests.Add(1234000)
	b.Retries.Add(3)
	b.Redispatches.Add(1)
	web.Times.Total.Add(12500)
	web.LastSession.Set(time.Now().Unix() - 3)
	for i, s := range slots[:2] {
		c := s.Counters.Shard(1)
		c.Sessions.Add(uint64(600000 + i))
		c.LBTotal.Add(uint64(600000 + i))
		c.HTTP[1].Add(600000)
		s.Sessions.Add(2)
		s.Times.Response.Add(2300)
		s.LastSession.Set(time.Now().Unix() - 3)
	}
}

// crowd is a snapshot with many backends of three servers.
func crowd(n int) *Snapshot { return crowdOf(n, 3) }

func crowdOf(n, servers int) *Snapshot {
	s := swarm()
	for i := range n {
		b := s.Pool.AddBackend(pool.BackendOptions{Name: fmt.Sprintf("service-%02d", i+1), Mode: pool.HTTP, FullConn: 100})
		for j := range servers {
			o := pool.DefaultServerOptions()
			o.Name, o.Check, o.Addr = fmt.Sprintf("task-%d", j+1), true, netip.MustParseAddrPort(fmt.Sprintf("10.1.%d.%d:80", i, j+1))
			srv := b.AddServer(o)
			srv.ReportCheck(pool.CheckResult{Status: pool.CheckL4OK, Duration: time.Millisecond})
			if i%9 == 4 && j == 1 || i == 20 {
				for range 4 {
					srv.ReportCheck(pool.CheckResult{Status: pool.CheckL4Tout, Duration: 2 * time.Second})
				}
			}
			c := srv.Counters.Shard(1)
			c.Sessions.Add(uint64(i*100 + j))
			c.BytesOut.Add(uint64(i * 1000000))
		}
		s.Proxies = append(s.Proxies, Proxy{Config: &config.Proxy{Kind: config.Backend, Name: b.Name, HTTP: true}, Backend: b})
	}
	return s
}

// watched is a backend whose servers are judged by more than their own health checks: by an agent, by traffic, by
// another server.
func watched() *Snapshot {
	p := pool.New(1)
	be := p.AddBackend(pool.BackendOptions{Name: "watched"})
	server := func(name string, change func(*pool.ServerOptions)) *pool.Server {
		o := pool.DefaultServerOptions()
		o.Name, o.Addr = name, netip.MustParseAddrPort("10.0.3.1:80")
		change(&o)
		return be.AddServer(o)
	}
	asked := server("asked", func(o *pool.ServerOptions) { o.Agent = true })
	asked.ReportAgent(pool.AgentReport{Result: pool.CheckResult{Status: pool.CheckL7OK, Code: 200, Info: "up 100%", Duration: time.Millisecond}, Percent: -1, MaxConn: -1})
	server("observed", func(o *pool.ServerOptions) { o.Check, o.Observe = true, pool.ObserveL4 })
	slow := server("slow", func(o *pool.ServerOptions) { o.Check, o.Rise, o.Fall, o.Slowstart = true, 1, 1, time.Hour })
	for _, status := range []pool.CheckStatus{pool.CheckL4OK, pool.CheckL4Con, pool.CheckL4OK} { // it comes up once more
		slow.ReportCheck(pool.CheckResult{Status: status})
	}
	server("following", func(*pool.ServerOptions) {}).Track(asked)
	return &Snapshot{Now: time.Now(), Pool: p, Proxies: []Proxy{{Config: &config.Proxy{Kind: config.Backend, Name: "watched"}, Backend: be}}}
}
