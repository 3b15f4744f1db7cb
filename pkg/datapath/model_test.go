package datapath

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// modelSide is one direction of a modelled flow.
type modelSide struct {
	syn, fin         bool
	synNext, seqNext uint32
	lastAck          uint32
	bytes            uint64
}

type modelFlow struct {
	state    FlowState
	client   netip.AddrPort
	back     uint16
	fwd, rev modelSide
	closer   *modelSide // the side of the first FIN
	reset    bool
}

// model says what the program has to do with a packet, in words of its own: it knows no hash, no map and no pointer. One
// service with one server.
type model struct {
	flows   map[netip.AddrPort]*modelFlow
	backs   map[uint16]*modelFlow
	held    map[uint16]bool // ports that the server may have in TIME_WAIT
	ring    []*modelFlow
	begun   int
	noFlow  uint64
	total   Counts
	claimed *modelFlow // by the packet just seen
}

func newModel(ring int) *model {
	return &model{flows: make(map[netip.AddrPort]*modelFlow), backs: make(map[uint16]*modelFlow), held: make(map[uint16]bool), ring: make([]*modelFlow, ring)}
}

func (m *model) forget(f *modelFlow) {
	delete(m.flows, f.client)
	delete(m.backs, f.back)
	m.shift(f, "")
}

// shift changes the state of a flow and what is counted by it.
func (m *model) shift(f *modelFlow, to FlowState) {
	for state, n := range map[FlowState]int{f.state: -1, to: 1} {
		switch state {
		case FlowHalfOpen:
			m.total.HalfOpen += uint64(n)
		case FlowEstablished:
			m.total.Current += uint64(n)
		}
	}
	switch {
	case to == "":
		m.total.Entries--
	case f.state == "":
		m.total.Entries++
	}
	f.state = to
}

// fromClient returns the flow that the packet passes by; nil if it goes to the stack.
func (m *model) fromClient(p packet) *modelFlow {
	opening := p.flags&(syn|ack|rst|fin) == syn
	f := m.flows[p.src]
	if f != nil && f.state == FlowClosed && opening {
		m.held[f.back] = f.closer == &f.rev && !f.reset
		m.forget(f)
		f = nil
	}
	if f == nil {
		if !opening {
			m.noFlow++
			return nil
		}
		f = &modelFlow{client: p.src}
		m.claim(f)
	} else if f.state == FlowHalfOpen && p.flags&(ack|rst) == ack && f.rev.syn && p.ack-f.rev.synNext <= f.rev.seqNext-f.rev.synNext {
		m.shift(f, FlowEstablished)
		m.total.Sessions++
	}
	m.note(f, &f.fwd, &f.rev, p)
	return f
}

// claim makes room on the ring; the port becomes known when the program has chosen it.
func (m *model) claim(f *modelFlow) {
	m.shift(f, FlowHalfOpen)
	m.total.Connections++
	m.flows[f.client] = f
	m.claimed = f
	m.begun++
	slot := &m.ring[m.begun%len(m.ring)]
	if old := *slot; old != nil && old.state == FlowHalfOpen {
		m.forget(old)
	}
	*slot = f
}

func (m *model) fromTask(p packet) *modelFlow {
	f := m.backs[p.dst.Port()]
	if f != nil {
		m.note(f, &f.rev, &f.fwd, p)
	}
	return f
}

// note follows a packet of one side.
func (m *model) note(f *modelFlow, side, other *modelSide, p packet) {
	reverse := side == &f.rev
	before, next := side.bytes, side.seqNext
	m.advance(f, side, reverse, p)
	if grown := side.bytes - before; reverse {
		m.total.BytesOut += grown
	} else {
		m.total.BytesIn += grown
	}
	switch {
	case p.flags&rst != 0:
		credible := p.seq == other.lastAck || p.seq == side.seqNext
		if reverse && !side.syn {
			credible = p.ack == other.seqNext
		}
		f.reset = f.reset || credible
		if credible && f.state != FlowClosed {
			m.aborted(f, reverse, side.syn)
		}
	case p.flags&fin != 0 && credibleFIN(other, p, next):
		side.fin = true
		if !other.fin && f.closer == nil {
			f.closer = side
		}
		if other.fin && f.state != FlowClosed {
			m.end(f)
		}
	}
	if p.flags&syn != 0 {
		side.syn = true
	}
	if p.flags&ack != 0 {
		side.lastAck = p.ack
	}
}

// credibleFIN tells whether a FIN is near enough to what its side had come to, or right where the other side waits for it.
func credibleFIN(other *modelSide, p packet, next uint32) bool {
	at := p.seq + uint32(len(p.payload))
	near := int32(p.seq-next) <= 1<<20 && int32(at+1-next) >= 0
	return p.flags&syn == 0 && (near || at == other.lastAck || at+1 == other.lastAck)
}

// aborted counts what a RST ends: a session, or an attempt that the server did not take.
func (m *model) aborted(f *modelFlow, byServer, answered bool) {
	switch {
	case f.state == FlowEstablished && byServer:
		m.total.ServerResets++
	case f.state == FlowEstablished:
		m.total.ClientAborts++
	case byServer && !answered:
		m.total.Failures++
	}
	m.end(f)
}

func (m *model) end(f *modelFlow) {
	if f.state == FlowEstablished {
		m.total.Ended++
	}
	m.shift(f, FlowClosed)
}

// advance counts the bytes that the packet adds to the stream of its side.
func (m *model) advance(f *modelFlow, side *modelSide, reverse bool, p packet) {
	begins := p.flags&syn != 0 && (reverse || f.state == FlowHalfOpen) && !(side.syn && side.synNext == p.seq+1)
	if begins {
		side.synNext, side.seqNext = p.seq+1, p.seq+1
	} else if p.flags&(syn|rst) != 0 {
		return
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
		return
	}
	side.seqNext = last
	side.bytes += uint64(uint32(ahead))
}

// anyPacket is one that may have to do with the flows of the model: mostly what TCP would send, and sometimes not.
func (m *model) anyPacket(r *rand.Rand, task netip.AddrPort) packet {
	flags := []uint8{syn, syn, syn | ack, ack, ack, ack, ack | psh, fin | ack, fin | ack, rst | ack, 0, fin, syn | fin, syn | rst}
	c := netip.AddrPortFrom(netip.MustParseAddr(clientAddr), uint16(5000+r.IntN(12)))
	p := packet{src: c, dst: ap(front()), flags: flags[r.IntN(len(flags))]}
	f := m.flows[c]
	own, other := &modelSide{}, &modelSide{}
	if f != nil {
		own, other = &f.fwd, &f.rev
	}
	if r.IntN(2) == 0 {
		p.src, p.dst = task, netip.AddrPortFrom(netip.MustParseAddr(backAddr), uint16(1024+r.IntN(30000)))
		if f != nil {
			p.dst = netip.AddrPortFrom(p.dst.Addr(), f.back)
			if !f.rev.syn && r.IntN(4) > 0 {
				p.flags = syn | ack
			}
		}
		own, other = other, own
	} else if f == nil && r.IntN(2) == 0 {
		p.flags = syn
	} else if f != nil && f.state == FlowHalfOpen && f.rev.syn && r.IntN(4) > 0 {
		p.flags = ack
	}
	p.seq, p.ack = anyNumber(r, own.seqNext), anyNumber(r, other.seqNext)
	p.payload = []string{"", "", "x", "twelve bytes"}[r.IntN(4)]
	return p
}

// anyNumber is mostly the right one, else near it, else anywhere.
func anyNumber(r *rand.Rand, right uint32) uint32 {
	switch r.IntN(10) {
	case 0:
		return right + uint32(r.IntN(30)) - 15
	case 1:
		return r.Uint32()
	}
	return right
}

// Random packets fare as the model says, byte for byte, and the counters agree.
func TestRandomPacketsAgainstTheModel(t *testing.T) {
	for seed := range uint64(sized(4, 1)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			// A ring that is shorter than there are clients, so that half-open flows are recycled.
			const ring = 5
			k := newKernel(t, Options{FlowMax: 64, HalfOpenRing: ring})
			k.sync(t, oneService(1))
			m := newModel(ring)
			r := rand.New(rand.NewPCG(seed, 1))
			task := netip.AddrPortFrom(netip.MustParseAddr(taskAddr(0)), taskPort)
			k.must(t, "run", func() error {
				var cpu unix.CPUSet
				cpu.Set(0) // the ring is by CPU; the thread is this call's own
				if err := unix.SchedSetaffinity(0, &cpu); err != nil {
					return err
				}
				for i := range 5000 {
					k.beat()
					p := m.anyPacket(r, task)
					if err := m.check(t, k, p, task); err != nil {
						return fmt.Errorf("packet %d, %+v: %w", i, p, err)
					}
				}
				return nil
			})
			m.compare(t, k)
			if m.total.Sessions < 50 || m.begun < 150 {
				t.Errorf("%d sessions of %d connections: the packets test little", m.total.Sessions, m.begun)
			}
		})
	}
}

// check sends a packet through both.
func (m *model) check(t *testing.T, k *kernel, p packet, task netip.AddrPort) error {
	frame := p.frame(t)
	run := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: skbContext{IngressIfindex: loIndex, Ifindex: loIndex}}
	ret, err := k.obj.WgIngress.Run(&run)
	if err != nil {
		return err
	}
	verdict := int(int32(ret))
	m.claimed = nil
	var f *modelFlow
	if p.src == task {
		f = m.fromTask(p)
	} else {
		f = m.fromClient(p)
	}
	if p.src == task && m.held[p.dst.Port()] {
		if verdict != verdictDrop {
			return fmt.Errorf("verdict %d, want it dropped: its connection has ended", verdict)
		}
		return nil
	}
	if f == nil {
		if verdict != verdictNext || !bytes.Equal(run.DataOut, frame) {
			return fmt.Errorf("verdict %d, want it to pass unchanged", verdict)
		}
		return nil
	}
	if verdict != verdictRedirect {
		return fmt.Errorf("verdict %d, want redirect", verdict)
	}
	if m.claimed != nil {
		f.back = decode(t, run.DataOut).src.Port()
		if other := m.backs[f.back]; other != nil || m.held[f.back] || f.back < 1024 || f.back > 32767 {
			return fmt.Errorf("port %d claimed, which %+v has", f.back, other)
		}
		m.backs[f.back] = f
	}
	want := p
	want.ttl = 63
	if p.src == task {
		want.src, want.dst = ap(front()), f.client
	} else {
		want.src, want.dst = netip.AddrPortFrom(netip.MustParseAddr(backAddr), f.back), task
	}
	if !bytes.Equal(run.DataOut, want.frame(t)) {
		return fmt.Errorf("leaves as %x, want %x", run.DataOut, want.frame(t))
	}
	return nil
}

// compare looks at all flows and counters.
func (m *model) compare(t *testing.T, k *kernel) {
	t.Helper()
	got := k.snapshot(t).Total
	if got.Connect.Sum < 0 || got.Connect.Longest > got.Life.Longest+time.Millisecond || got.Connect.Sum > got.Life.Sum {
		t.Errorf("times %+v of connecting, %+v of the whole", got.Connect, got.Life)
	}
	got.Connect, got.Life = Spans{}, Spans{} // the model has no clock
	if got != m.total {
		t.Errorf("counters %+v, want %+v", got, m.total)
	}
	if got := k.reasons(t)["no_flow"]; got != m.noFlow {
		t.Errorf("%d packets without a flow, want %d", got, m.noFlow)
	}
	flows := k.flows(t)
	held := 0
	for _, holds := range m.held {
		if holds {
			held++
		}
	}
	if len(flows) != len(m.flows) || k.entries(t) != 2*len(m.flows)+held {
		t.Errorf("%d flows, %d entries; want %d flows", len(flows), k.entries(t), len(m.flows))
	}
	for _, f := range flows {
		want := m.flows[f.Client]
		if want == nil || f.State != want.state || f.Back.Port() != want.back || f.BytesIn != want.fwd.bytes || f.BytesOut != want.rev.bytes {
			t.Errorf("flow %+v, want %+v", f, want)
		}
	}
}
