package datapath

import (
	"net/netip"
	"slices"
	"time"

	"waggle/pkg/balance"
)

// outcome is a server that a SYN may go to, or a reason why it goes to none.
type outcome struct {
	server *Server
	reason string
}

// enter says whether a gauge has a place for one more flow of the kernel path: "", "full" or "half_open".
func (m *model) enter(key gaugeKey) string {
	g, limit := m.gauge(key), m.limits[key]
	switch {
	case limit == 0:
		return ""
	case g.open+g.user >= limit:
		return "full"
	case g.open-g.established >= max(1, limit/4):
		return "half_open"
	}
	return ""
}

// chooser is one choice among the servers of a service, but not the one that has just failed.
type chooser struct {
	*model
	*Service
	avoid uint32
}

func (c chooser) server(id uint32) *Server {
	return &c.Servers[slices.IndexFunc(c.Servers, func(v Server) bool { return v.ID == id })]
}

// try is what comes of a slot.
func (c chooser) try(id uint32) outcome {
	v := c.server(id)
	if id == c.avoid {
		return outcome{reason: "servers_full"}
	}
	if v.Addr.Addr().String() == unroutable {
		return outcome{reason: "no_route"}
	}
	switch reason := c.enter(gaugeKey{server: true, id: id}); reason {
	case "":
		return outcome{server: v}
	case "full":
		return outcome{reason: "servers_full"}
	default:
		return outcome{reason: reason}
	}
}

// from is what comes of the slots from one on.
func (c chooser) from(at int) (o outcome) {
	for i := range min(64, len(c.Schedule)) {
		if o = c.try(c.Schedule[(at+i)%len(c.Schedule)]); o.reason != "servers_full" {
			break
		}
	}
	return o
}

// free tells whether a slot's server can take one more, and how many it has.
func (c chooser) free(id uint32) (load int, ok bool) {
	key := gaugeKey{server: true, id: id}
	load = c.gauge(key).open + c.gauge(key).user
	return load, id != c.avoid && (c.limits[key] == 0 || load < c.limits[key])
}

// least is the least loaded for its weight, of equals the one nearest behind start.
func (c chooser) least(start int) outcome {
	best, bestLoad := uint32(0), 0
	for i := range c.Schedule {
		id := c.Schedule[(start+i)%len(c.Schedule)]
		load, ok := c.free(id)
		if ok && (best == 0 || load*c.weight(best) < bestLoad*c.weight(id)) {
			best, bestLoad = id, load
		}
	}
	if best == 0 {
		return outcome{reason: "servers_full"}
	}
	return c.try(best)
}

func (c chooser) weight(id uint32) int { return int(max(1, c.server(id).Weight)) }

// outcomes are what may come of it.
func (c chooser) outcomes(client netip.Addr) []outcome {
	if len(c.Schedule) == 0 {
		return []outcome{{reason: "no_server"}}
	}
	n := len(c.Schedule)
	turn := func() int {
		c.turns[c.ID]++
		return int((c.turns[c.ID] - 1) % uint64(n))
	}
	switch c.Algorithm {
	case LeastConn:
		return []outcome{c.least(turn())}
	case First:
		at := slices.IndexFunc(c.Schedule, func(id uint32) bool { _, ok := c.free(id); return ok })
		if at < 0 {
			return []outcome{{reason: "servers_full"}}
		}
		return []outcome{c.try(c.Schedule[at])}
	case Random:
		var all []outcome
		for at := range n { // any slot may be the only one drawn
			all = append(all, c.from(at))
		}
		return all
	case Source:
		at := int(balance.SourceHash(client) % uint32(n))
		if c.Schedule[at] == c.avoid {
			return []outcome{c.from(at)}
		}
		return []outcome{c.try(c.Schedule[at])}
	}
	return []outcome{c.from(turn())}
}

// portUse is whether a new connection may have a port.
type portUse struct{ free, sure, perhaps bool }

// port says whether a SYN can have a port towards a server: a free one, or one whose server is in TIME_WAIT and takes the SYN.
func (m *model) port(way modelWay, p packet) (u portUse) {
	const peace = time.Second
	takes := func(next, stamp uint32) bool {
		return int32(p.seq-next) > 0 && (stamp == 0 || p.stamp == 0 || int32(p.stamp-stamp) > 0)
	}
	if f := m.backs[way]; f != nil {
		if f.state == FlowClosed && f.waits() && takes(f.fwd.seqNext, f.stamp) {
			sure, perhaps := m.passed(f.fwd.seen, peace)
			alsoSure, also := m.passed(f.rev.seen, peace)
			u.sure, u.perhaps = sure && alsoSure, perhaps && also
		}
		return u
	}
	if t := m.tombs[way]; t != nil {
		if t.waits && takes(t.next, t.stamp) {
			u.sure, u.perhaps = m.passed(t.seen, peace)
		}
		return u
	}
	return portUse{true, true, true}
}

// ports says the same of all ports towards a server, as ways.
func (m *model) ports(v *Server, p packet) (ways map[modelWay]portUse, any portUse) {
	ways = make(map[modelWay]portUse)
	from := netip.MustParseAddr(backAddr)
	if v.Addr.Addr().Is6() {
		from = netip.MustParseAddr(backAddr6)
	}
	for port := m.first; port <= m.last; port++ {
		way := modelWay{netip.AddrPortFrom(from, port), v.Addr}
		u := m.port(way, p)
		ways[way] = u
		any = portUse{any.free || u.free, any.sure || u.sure, any.perhaps || u.perhaps}
	}
	return ways, any
}

// verdicts are what may become of a SYN at a server: it is taken, or why not. need is how many entries it takes.
func (m *model) verdicts(v *Server, p packet, need int) (taken bool, reasons []string) {
	ways, any := m.ports(v, p)
	reopens := false
	for _, u := range ways {
		reopens = reopens || u.perhaps && !u.free
	}
	room := m.room - m.entries()
	if any.free && room >= need || reopens {
		taken = true
	}
	if any.free && room < need || reopens && room < need {
		reasons = append(reasons, "table_full")
	}
	if !any.free && !any.sure {
		reasons = append(reasons, "no_port")
	}
	return taken, reasons
}

// occupy gives a port to a new connection; whatever held it is gone.
func (m *model) occupy(way modelWay) {
	if f := m.backs[way]; f != nil {
		m.seen["port of a closed flow reopened"]++
		m.forget(f)
	}
	if m.tombs[way] != nil {
		m.seen["port of a tombstone reopened"]++
		m.exhume(way)
	}
}

// begin makes a flow of a SYN that goes a way, and room for it on the ring.
func (m *model) begin(s *Service, p packet, v *Server, way modelWay) *modelFlow {
	m.occupy(way)
	f := &modelFlow{service: s.ID, server: v.ID, client: p.src, front: p.dst, way: way, retries: s.Retries, created: m.now(), attempt: m.now()}
	f.fwd.seen, f.rev.seen = f.attempt, f.attempt
	m.shift(f, FlowHalfOpen)
	m.count(f).Connections++
	m.flows[[2]netip.AddrPort{f.client, f.front}], m.backs[way] = f, f
	slot := &m.ring[m.begun%len(m.ring)]
	if old := *slot; old != nil && old.state == FlowHalfOpen {
		m.seen["half-open flow recycled"]++
		m.forget(old)
	}
	*slot = f
	return f
}

// move gives a half-open flow to another server, by a way of its own.
func (m *model) move(f *modelFlow, v *Server, way modelWay) {
	m.count(f).Redispatches++
	m.occupy(way)
	delete(m.backs, f.way)
	m.seen[map[bool]string{true: "redispatch after a refusal", false: "redispatch after a timeout"}[f.refused]]++
	if !f.refused {
		m.bury(f.way, &modelTomb{server: f.server, seen: m.now(), ended: f.rev.fin}) // a FIN without a SYN is no end, but has the collector wait longer
	}
	m.shift(f, "")
	f.server, f.way, f.refused, f.attempt = v.ID, way, false, m.now()
	f.fwd, f.rev = modelSide{seen: f.attempt}, modelSide{seen: f.attempt}
	f.closer, f.retries = nil, f.retries-1
	m.shift(f, FlowHalfOpen)
	m.count(f).Connections++
	m.backs[way] = f
}

// abandon ends a half-open flow whose server has left and that has found no other.
func (m *model) abandon(f *modelFlow) {
	m.count(f).Redispatches++
	m.seen["abandoned"]++
	m.forget(f)
	if !f.refused {
		m.bury(f.way, &modelTomb{server: f.server, seen: m.now(), ended: f.rev.fin}) // a FIN without a SYN is no end, but has the collector wait longer
	}
}
