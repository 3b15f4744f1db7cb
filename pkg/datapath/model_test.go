package datapath

import (
	"net/netip"
	"time"
)

// model says what the program has to do with a packet, in words of its own: it knows no hash, no map and no pointer. What it
// does by chance, or by which port it tries first, the model is told when it has been seen, and only says whether it may be.
type model struct {
	services map[netip.AddrPort]*Service // by frontend
	limits   map[gaugeKey]int
	gauges   map[gaugeKey]*modelGauge // the zero key is over all
	counts   map[pair]*Counts
	turns    map[uint32]uint64 // by service

	flows map[[2]netip.AddrPort]*modelFlow // by client and frontend
	backs map[modelWay]*modelFlow
	tombs map[modelWay]*modelTomb

	ring    []*modelFlow
	begun   int
	room    int // entries that the table holds
	first   uint16
	last    uint16 // source ports
	stale   bool   // the agent gives no sign of life
	reasons map[string]uint64
	clock   time.Duration  // by how much the test has set time forward
	seen    map[string]int // how often what has happened
	started time.Time      // the program, for the last packet
}

// modelGauge are the current numbers of a service, a server or all.
type modelGauge struct {
	open, established, held int
	user                    int // places that userspace has taken
	waiting                 int // connections that wait there
}

// modelWay is how a connection goes on.
type modelWay struct{ back, task netip.AddrPort }

// modelSide is one direction of a modelled flow.
type modelSide struct {
	syn, fin         bool
	synNext, seqNext uint32
	lastAck          uint32
	bytes            uint64
	seen             moment
}

type modelFlow struct {
	state           FlowState
	service, server uint32
	client, front   netip.AddrPort
	way             modelWay
	fwd, rev        modelSide
	closer          *modelSide // the side of the first FIN
	reset           bool
	retries         uint32
	refused         bool
	created         moment
	attempt         moment // when the one at this server began
	stamp           uint32 // the client's last, once closed
}

// modelTomb is what holds a port of a server that has lost its flow, or is in TIME_WAIT.
type modelTomb struct {
	server      uint32
	seen        moment
	ended       bool // by FINs; else the server was abandoned
	waits       bool // it is known to be in TIME_WAIT, and next and stamp are what it remembers
	next, stamp uint32
}

// moment is when something happened: by the clock that the test sets forward, and by that of the wall.
type moment struct {
	set  time.Duration
	wall time.Time
}

// now is when the program was started last: it may have looked at its clock at any time since.
func (m *model) now() moment { return moment{m.clock, m.started} }

// passed tells whether so much time has gone by since, for sure or perhaps: the wall's clock goes on as well. The kernel's
// begins with the machine, so nothing is older than that.
func (m *model) passed(since moment, d time.Duration) (sure, perhaps bool) {
	const coarse = 20 * time.Millisecond
	set, up := m.clock-since.set, time.Duration(monotonicNow())
	return min(set, up-time.Second) >= d, min(set+time.Since(since.wall), up)+coarse >= d
}

func newModel(ring, flows int, first, last uint16) *model {
	return &model{services: make(map[netip.AddrPort]*Service), gauges: make(map[gaugeKey]*modelGauge), counts: make(map[pair]*Counts),
		turns: make(map[uint32]uint64), flows: make(map[[2]netip.AddrPort]*modelFlow), backs: make(map[modelWay]*modelFlow),
		tombs: make(map[modelWay]*modelTomb), ring: make([]*modelFlow, ring), room: 2 * flows, first: first, last: last,
		reasons: make(map[string]uint64), seen: make(map[string]int)}
}

func (m *model) gauge(key gaugeKey) *modelGauge {
	if m.gauges[key] == nil {
		m.gauges[key] = &modelGauge{}
	}
	return m.gauges[key]
}

func (m *model) gaugesOf(f *modelFlow) []*modelGauge {
	return []*modelGauge{m.gauge(gaugeKey{}), m.gauge(gaugeKey{id: f.service}), m.gauge(gaugeKey{server: true, id: f.server})}
}

func (m *model) count(f *modelFlow) *Counts {
	key := pair{f.service, f.server}
	if m.counts[key] == nil {
		m.counts[key] = &Counts{}
	}
	return m.counts[key]
}

// entries is how many the table has.
func (m *model) entries() int { return 2*len(m.flows) + len(m.tombs) }

// shift changes the state of a flow and the numbers of those that have it; "" is that it is gone.
func (m *model) shift(f *modelFlow, to FlowState) {
	for _, g := range m.gaugesOf(f) {
		for state, n := range map[FlowState]int{f.state: -1, to: 1} {
			switch state {
			case FlowHalfOpen:
				g.open += n
			case FlowEstablished:
				g.open += n
				g.established += n
			case FlowClosed:
				g.held += n
			}
		}
	}
	f.state = to
}

func (m *model) forget(f *modelFlow) {
	delete(m.flows, [2]netip.AddrPort{f.client, f.front})
	delete(m.backs, f.way)
	m.shift(f, "")
}

func (m *model) bury(way modelWay, t *modelTomb) {
	m.tombs[way] = t
	m.gauge(gaugeKey{server: true, id: t.server}).held++
}

func (m *model) exhume(way modelWay) {
	m.gauge(gaugeKey{server: true, id: m.tombs[way].server}).held--
	delete(m.tombs, way)
}

// waits tells whether the server is known to be in TIME_WAIT: it has closed first, and all was acknowledged both ways.
func (f *modelFlow) waits() bool {
	return f.closer == &f.rev && !f.reset && f.rev.lastAck == f.fwd.seqNext && f.fwd.lastAck == f.rev.seqNext
}

// recycle makes room for a new connection of the same client.
func (m *model) recycle(f *modelFlow) {
	m.forget(f)
	if f.closer != &f.rev || f.reset {
		return
	}
	t := &modelTomb{server: f.server, seen: f.rev.seen, ended: true}
	if f.waits() {
		t.waits, t.next, t.stamp = true, f.fwd.seqNext, f.stamp
	}
	m.bury(f.way, t)
}

func opening(p packet) bool { return p.flags&(syn|ack|rst|fin) == syn }

// promote makes a flow established when its client knows the server's number.
func (m *model) promote(f *modelFlow, p packet) {
	if f.state == FlowHalfOpen && p.flags&(ack|rst) == ack && f.rev.syn && p.ack-f.rev.synNext <= f.rev.seqNext-f.rev.synNext {
		m.shift(f, FlowEstablished)
		m.count(f).Sessions++
	}
}

// note follows a packet of one side.
func (m *model) note(f *modelFlow, side, other *modelSide, p packet) {
	reverse, next := side == &f.rev, side.seqNext
	grown := m.advance(f, side, reverse, p)
	side.bytes += grown
	if reverse {
		m.count(f).BytesOut += grown
	} else {
		m.count(f).BytesIn += grown
	}
	switch {
	case p.flags&rst != 0:
		m.noteReset(f, side, other, p)
	case p.flags&fin != 0 && credibleFIN(other, p, next):
		side.fin = true
		if !other.fin && f.closer == nil {
			f.closer = side
		}
		if other.fin && f.state != FlowClosed {
			m.end(f)
		}
	}
	if p.payload != "" || p.flags&(syn|fin|rst) != 0 {
		side.seen = m.now()
	}
	if p.flags&syn != 0 {
		side.syn = true
	}
	if p.flags&ack != 0 {
		side.lastAck = p.ack
	}
	if !reverse && f.state == FlowClosed && p.stamp != 0 && (f.stamp == 0 || int32(p.stamp-f.stamp) > 0) {
		f.stamp = p.stamp
	}
}

// credibleFIN tells whether a FIN is near enough to what its side had come to, or right where the other side waits for it.
func credibleFIN(other *modelSide, p packet, next uint32) bool {
	at := p.seq + uint32(len(p.payload))
	near := int32(p.seq-next) <= 1<<20 && int32(at+1-next) >= 0
	return p.flags&syn == 0 && (near || at == other.lastAck || at+1 == other.lastAck)
}

func (m *model) noteReset(f *modelFlow, side, other *modelSide, p packet) {
	reverse := side == &f.rev
	credible := p.seq == other.lastAck || p.seq == side.seqNext
	if reverse && !side.syn {
		credible = p.ack == other.seqNext
	}
	f.reset = f.reset || credible
	if !credible || f.state == FlowClosed {
		return
	}
	switch c := m.count(f); {
	case f.state == FlowEstablished && reverse:
		c.ServerResets++
	case f.state == FlowEstablished:
		c.ClientAborts++
	case reverse && !side.syn:
		c.Failures++
	}
	m.end(f)
}

func (m *model) end(f *modelFlow) {
	if f.state == FlowEstablished {
		m.count(f).Ended++
	}
	m.shift(f, FlowClosed)
}

// advance returns the bytes that the packet adds to the stream of its side.
func (m *model) advance(f *modelFlow, side *modelSide, reverse bool, p packet) uint64 {
	begins := p.flags&syn != 0 && (reverse || f.state == FlowHalfOpen) && !(side.syn && side.synNext == p.seq+1)
	if begins {
		side.synNext, side.seqNext = p.seq+1, p.seq+1
	} else if p.flags&(syn|rst) != 0 {
		return 0
	}
	end := p.seq + uint32(len(p.payload))
	if p.flags&syn != 0 {
		end++
	}
	last := end
	if p.flags&fin != 0 {
		last++
	}
	ahead := int32(end - side.seqNext)
	if bare := p.payload == "" && p.flags&fin == 0; bare || ahead > 64<<20 || p.payload == "" && ahead > 1<<20 || int32(last-side.seqNext) <= 0 {
		return 0
	}
	side.seqNext = last
	return uint64(uint32(ahead))
}
