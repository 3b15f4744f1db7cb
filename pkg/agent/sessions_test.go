package agent

import (
	"net/netip"
	"testing"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/datapath"
	"waggle/pkg/offload"
)

func TestLinesOfKernelSessions(t *testing.T) {
	cfg := parse(t, swarm+"\nfrontend more\n    bind :84\n    default_backend tasks\n")
	b, err := build(cfg, 2, 256, nil, nil, datapath.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	k := newKernel(b.pool, offload.Explain(cfg), &logs{}, nil, datapath.Identities{})
	var line string
	l := &kernelLog{
		find: k.plan().service, services: func() []*service { return k.plan().services }, servers: k.servers, process: &b.pool.Process.Conns,
		established: func(id uint32) int { return int(id) * 10 },
		access: func(s *service, e *accesslog.Entry) {
			p := s.verdict.Proxy
			if p.Name != e.Frontend {
				t.Errorf("the entry of %s is logged as that of %s", e.Frontend, p.Name)
			}
			line = string(e.Append(nil, time.UTC))
		},
	}
	server := b.pool.Backend("tasks").Servers()[1]
	server.Sessions.Add(1) // through userspace
	b.pool.Frontend("tcp_in").Sessions.Add(2)
	b.pool.Backend("tasks").Sessions.Add(1)
	b.pool.Process.Conns.Add(5)

	base := datapath.Closed{
		Service: 1, Server: server.Key, End: datapath.EndFIN,
		Client: netip.MustParseAddrPort("192.0.2.7:4711"), Front: netip.MustParseAddrPort("192.0.2.1:81"),
		Started: time.Date(2026, 2, 3, 4, 5, 6, 7e6, time.UTC), Duration: 1234 * time.Millisecond, Connect: 2500 * time.Microsecond,
		RetriesLeft: 3, BytesIn: 10, BytesOut: 4000, Total: 9, InService: 3, InServer: 2,
	}
	const begin = "192.0.2.7:4711 [03/Feb/2026:04:05:06.007] tcp_in tasks/task-2 "
	for _, tt := range []struct {
		change func(*datapath.Closed)
		want   string
	}{
		// 30 more of tasks came by another frontend, which is service 3.
		{func(*datapath.Closed) {}, "0/2/1234 4000 -- 14/5/33/2/0 0/0"},
		{func(c *datapath.Closed) { c.End = datapath.EndClientReset }, "0/2/1234 4000 CD 14/5/33/2/0 0/0"},
		{func(c *datapath.Closed) { c.End = datapath.EndServerReset }, "0/2/1234 4000 SD 14/5/33/2/0 0/0"},
		{func(c *datapath.Closed) { c.End = datapath.EndClientTimeout }, "0/2/1234 4000 cD 14/5/33/2/0 0/0"},
		{func(c *datapath.Closed) { c.End = datapath.EndServerTimeout }, "0/2/1234 4000 sD 14/5/33/2/0 0/0"},
		{func(c *datapath.Closed) { c.End = datapath.EndServerDown }, "0/2/1234 4000 DD 14/5/33/2/0 0/0"},
		{func(c *datapath.Closed) { c.RetriesLeft = 2 }, "0/2/1234 4000 -- 14/5/33/2/1 0/0"},
		{func(c *datapath.Closed) { c.RetriesLeft, c.Redispatched = 1, true }, "0/2/1234 4000 -- 14/5/33/2/+2 0/0"},
		{func(c *datapath.Closed) { c.End = datapath.EndKilled }, "0/2/1234 4000 KD 14/5/33/2/0 0/0"},
		{func(c *datapath.Closed) {
			c.End, c.Connect, c.BytesIn, c.BytesOut, c.Total, c.InService, c.InServer = datapath.EndRefused, -1, 0, 0, 0, 0, 0
		}, "0/-1/1234 0 SC 6/3/31/1/0 0/0"},
		{func(c *datapath.Closed) {
			c.End, c.Connect, c.BytesIn, c.BytesOut, c.Total, c.InService, c.InServer = datapath.EndConnectTimeout, -1, 0, 0, 0, 0, 0
		}, "0/-1/1234 0 sC 6/3/31/1/0 0/0"},
	} {
		c := base
		tt.change(&c)
		if l.closed(c); line != begin+tt.want {
			t.Errorf("got  %s\nwant %s%s", line, begin, tt.want)
		}
	}

	line = ""
	for _, id := range []uint32{0, 99} { // of a configuration that is no more
		c := base
		c.Service = id
		if l.closed(c); line != "" {
			t.Errorf("service %d: %s", id, line)
		}
	}
}
