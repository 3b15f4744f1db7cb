package datapath

import (
	"net/netip"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// What a race of CPUs or a lack of memory leaves in the table for an instant, made here by hand: it costs nobody a connection but, at
// worst, the one that it belongs to.

// keyOf is the key of packets from one address to another.
func keyOf(from, to netip.AddrPort) lbWgKey {
	return lbWgKey{Saddr: from.Addr().As16(), Daddr: to.Addr().As16(), Sport: netOrder(from.Port()), Dport: netOrder(to.Port())}
}

// edit changes an entry of the table.
func (k *kernel) edit(t testing.TB, key lbWgKey, change func(*lbWgFlow)) {
	t.Helper()
	var f lbWgFlow
	if err := k.obj.WgFlows.Lookup(key, &f); err != nil {
		t.Fatal(err)
	}
	change(&f)
	if err := k.obj.WgFlows.Update(key, f, ebpf.UpdateExist); err != nil {
		t.Fatal(err)
	}
}

// lose deletes an entry of the table without its other half.
func (k *kernel) lose(t testing.TB, key lbWgKey) {
	t.Helper()
	if err := k.obj.WgFlows.Delete(key); err != nil {
		t.Fatal(err)
	}
}

// A SYN that meets an entry which is being deleted is dropped, so that its client sends it again, and takes neither a place nor a port.
func TestPacketsThatMeetADeletion(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.establish(t, client(0))
	k.edit(t, keyOf(c.client, c.front), func(f *lbWgFlow) { f.State = lbWgStateWG_DEAD })
	before, entries := k.gauge(0), k.entries(t)
	verdict, _ := k.send(t, packet{src: c.client, dst: c.front, flags: syn, seq: 77})
	if reasons := k.reasons(t); verdict != verdictDrop || reasons["race"] != 1 {
		t.Errorf("verdict %d, reasons %v", verdict, reasons)
	}
	k.refuse(t, packet{src: c.client, dst: c.front, flags: ack, seq: c.clientSeq, ack: c.taskSeq, payload: "x"}, "no_flow")
	if after := k.gauge(0); after != before || k.entries(t) != entries {
		t.Errorf("%+v and %d entries, before %+v and %d", after, k.entries(t), before, entries)
	}
	for i := range uint32(3) {
		if g := k.gauge(i); g.Taken != before.Taken {
			t.Errorf("gauge %d: %+v", i, g)
		}
	}
}

// A flow that has lost its way back goes on there, is never promoted, tries no other server, and makes room for a new one.
func TestForwardHalves(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, retrying(1, 3, true))
	half := k.open(t, client(0))
	half.refuse(t, false)
	half.fromTask(t, syn|ack, "")
	k.lose(t, keyOf(half.task, half.back))
	first := half.way()
	if half.again(t); half.way() != first {
		t.Errorf("%v became %v", first, half.way())
	}
	half.fromClient(t, ack, "")
	if s := half.state(t); s != FlowHalfOpen {
		t.Errorf("the flow is %s", s)
	}
	closed := k.establish(t, client(1))
	taskCloses(t, closed)
	k.lose(t, keyOf(closed.task, closed.back))
	again := k.open(t, closed.client.String())
	if again.fromTask(t, syn|ack, ""); again.state(t) != FlowHalfOpen {
		t.Errorf("the new flow is %s", again.state(t))
	}
	k.pass(t, k.collector(Timeouts{}), time.Hour, 2)
	if n := k.entries(t); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	for i := range uint32(3) {
		if g := k.gauge(i); g != (numbers{}) {
			t.Errorf("gauge %d: %+v", i, g)
		}
	}
}

// What a server says to a flow that only the way back is left of reaches its client: there is nobody to decide otherwise.
func TestReverseHalves(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, retrying(1, 3, true))
	c := k.open(t, client(0))
	k.lose(t, keyOf(c.client, c.front))
	c.refuse(t, true)
	about := packet{src: c.back, dst: c.task, flags: syn, seq: c.clientSeq - 1}.frame(t)[14:]
	unreachable := icmpFrame(t, netip.MustParseAddr("203.0.113.1"), c.back.Addr(), pkt{icmp: &icmpError{kind: 3, code: 1}}, about[:28], ask)
	if verdict, _ := k.sendFrame(t, unreachable); verdict != verdictRedirect {
		t.Errorf("an ICMP error: verdict %d, reasons %v", verdict, k.reasons(t))
	}
}

// The collector deletes what it has found to be over, if that is still there and still as it was, and nothing else.
func TestCollectorDeletesOnlyWhatItMeant(t *testing.T) {
	for name, tt := range map[string]struct {
		mean func(*sentence, [2]lbWgKey)
		then func(*testing.T, *kernel, *conn)
		want int
	}{
		"as it was":                  {want: 1},
		"without its way back":       {then: func(t *testing.T, k *kernel, c *conn) { k.lose(t, keyOf(c.task, c.back)) }, want: 1},
		"gone":                       {then: func(t *testing.T, k *kernel, c *conn) { k.lose(t, keyOf(c.client, c.front)) }},
		"of another state":           {mean: func(s *sentence, _ [2]lbWgKey) { s.State = lbWgStateWG_HALF }},
		"of another state, by force": {mean: func(s *sentence, _ [2]lbWgKey) { s.State, s.How = lbWgStateWG_HALF, lbWgDoomWG_DOOM_FORCED }, want: 1},
		"active since":               {mean: func(s *sentence, _ [2]lbWgKey) { s.Seen-- }},
		"its server active since":    {mean: func(s *sentence, _ [2]lbWgKey) { s.TwinSeen-- }},
		"closed meanwhile, by force": {mean: func(s *sentence, _ [2]lbWgKey) { s.How = lbWgDoomWG_DOOM_FORCED }, then: func(t *testing.T, _ *kernel, c *conn) { c.fromClient(t, rst, "") }},
		"half-open, by force": {mean: func(s *sentence, _ [2]lbWgKey) { s.How = lbWgDoomWG_DOOM_FORCED }, then: func(t *testing.T, k *kernel, c *conn) {
			k.edit(t, keyOf(c.client, c.front), func(f *lbWgFlow) { f.State = lbWgStateWG_HALF })
		}, want: 1},
		"a way back for a flow":           {mean: func(s *sentence, keys [2]lbWgKey) { s.Key = keys[1] }},
		"a way back for a flow, by force": {mean: func(s *sentence, keys [2]lbWgKey) { s.Key, s.How = keys[1], lbWgDoomWG_DOOM_FORCED }},
		"a flow for a way back":           {mean: func(s *sentence, _ [2]lbWgKey) { s.How = lbWgDoomWG_DOOM_ORPHAN }},
		"a way back that is gone": {mean: func(s *sentence, keys [2]lbWgKey) { s.Key, s.How = keys[1], lbWgDoomWG_DOOM_ORPHAN },
			then: func(t *testing.T, k *kernel, c *conn) { k.lose(t, keyOf(c.task, c.back)) }},
		"a way back of another flow": {mean: func(s *sentence, keys [2]lbWgKey) { s.Key, s.How = keys[1], lbWgDoomWG_DOOM_ORPHAN },
			then: func(t *testing.T, k *kernel, c *conn) {
				k.edit(t, keyOf(c.task, c.back), func(f *lbWgFlow) { f.Generation++ })
			}},
		"a way back without its flow": {mean: func(s *sentence, keys [2]lbWgKey) { s.Key, s.How = keys[1], lbWgDoomWG_DOOM_ORPHAN },
			then: func(t *testing.T, k *kernel, c *conn) { k.lose(t, keyOf(c.client, c.front)) }, want: 1},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t, Options{})
			k.sync(t, oneService(1))
			c := k.establish(t, client(0))
			keys, entries := c.entriesOf(t)
			said := sentenceOf(keys[0], entries[0], entries[1])
			if tt.mean != nil {
				tt.mean(&said, keys)
			}
			if tt.then != nil {
				tt.then(t, k, c)
			}
			before := k.entries(t)
			n, err := k.collector(Timeouts{}).execute([]sentence{said})
			if n != tt.want || err != nil {
				t.Errorf("%d deleted, %v", n, err)
			}
			if left := k.entries(t); (left != before) != (tt.want > 0) || tt.want > 0 && left > 0 {
				t.Errorf("%d of %d entries are left", left, before)
			}
		})
	}
}

// A slot of the ring whose flow's key is that of a way back by now deletes nothing.
func TestTheRingTakesNoWayBack(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 1})
	k.sync(t, oneService(1))
	c := k.establish(t, client(0))
	k.edit(t, keyOf(c.task, c.back), func(f *lbWgFlow) { f.State = lbWgStateWG_HALF })
	keys, entries := c.entriesOf(t)
	slots := make([]lbWgRingSlot, ebpf.MustPossibleCPU())
	for i := range slots {
		slots[i] = lbWgRingSlot{Key: keys[1], Generation: entries[1].Generation}
	}
	if err := k.obj.WgRing.Put(uint32(0), slots); err != nil {
		t.Fatal(err)
	}
	k.open(t, client(1))
	c.fromTask(t, ack, "still here")
	c.fromClient(t, ack, "so am I")
}

// A port that may be used again by all but one of these is not: its entry is that of a way there, or of another flow, or its server has
// just spoken.
func TestPortsThatAreNotReopened(t *testing.T) {
	for name, change := range map[string]func(*kernel, *conn){
		"a way there": func(k *kernel, c *conn) { k.edit(t, keyOf(c.task, c.back), func(f *lbWgFlow) { f.Dir = dirForward }) },
		"of another flow": func(k *kernel, c *conn) {
			k.edit(t, keyOf(c.client, c.front), func(f *lbWgFlow) { f.Generation++ })
		},
		"its server has just spoken": func(k *kernel, c *conn) {
			k.edit(t, keyOf(c.task, c.back), func(f *lbWgFlow) { f.Seen = monotonicNow() })
		},
		"its client has just spoken": func(k *kernel, c *conn) {
			k.edit(t, keyOf(c.client, c.front), func(f *lbWgFlow) { f.Seen = monotonicNow() })
		},
		"": func(*kernel, *conn) {},
	} {
		k := newKernel(t, Options{})
		k.sync(t, oneService(1))
		k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, 2000
		c := k.establish(t, client(0))
		taskCloses(t, c)
		k.age(t, 2*time.Second)
		change(k, c)
		next := packet{src: ap(client(1)), dst: ap(front()), flags: syn, seq: c.clientSeq + 1000}
		if name != "" {
			k.refuse(t, next, "no_port")
		} else if verdict, _ := k.send(t, next); verdict != verdictRedirect {
			t.Errorf("as it was: verdict %d, reasons %v", verdict, k.reasons(t))
		}
	}
}

// A timestamp of 0 is one: it is older than those before it.
func TestAPortIsNotReopenedForTheTimestampZero(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, 2000
	c := k.open(t, client(0))
	c.stamp = 5_000_000
	c.fromTask(t, syn|ack, "")
	c.fromClient(t, ack, "")
	taskCloses(t, c)
	k.age(t, 2*time.Second)
	frame := packet{src: ap(client(1)), dst: ap(front()), flags: syn, seq: c.clientSeq + 1000, stamp: 0x01020304}.frame(t)
	copy(frame[tcpOff(frame)+20+2:], make([]byte, 4))
	k.refuseFrame(t, frame, "no_port")
}

// A retransmission to a service that has left is one, whatever has become of the attempt.
func TestRetriesEndWithTheirService(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, retrying(2, 3, true))
	c := k.open(t, client(0))
	c.refuse(t, false)
	k.sync(t, Desired{})
	first := c.way()
	if c.again(t); c.way() != first {
		t.Errorf("%v became %v", first, c.way())
	}
	if s := k.snapshot(t).Total; s.Retries+s.Redispatches != 0 {
		t.Errorf("%+v", s)
	}
}

// While a server's addresses of ours change, what is left of them is used.
func TestSourcesThatHaveJustLeft(t *testing.T) {
	for name, change := range map[string]func(k *kernel, id uint32, v lbWgServer) error{
		"the server, too": func(k *kernel, id uint32, _ lbWgServer) error { return k.obj.WgServers.Delete(id) },
		"all but one":     func(k *kernel, id uint32, v lbWgServer) error { v.Sources = 1; return k.obj.WgServers.Put(id, v) },
	} {
		k := newKernel(t, Options{})
		d := oneService(1)
		d.Services[0].Servers[0].Sources = []netip.Addr{netip.MustParseAddr(backAddr), netip.MustParseAddr(frontAddr)}
		k.sync(t, d)
		k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, 2009
		const id = uint32(101)
		var v lbWgServer
		if err := k.obj.WgServers.Lookup(id, &v); err != nil {
			t.Fatal(err)
		}
		if err := change(k, id, v); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if c := k.establish(t, client(i)); c.back.Addr() != netip.MustParseAddr(backAddr) {
				t.Errorf("%s: from %s", name, c.back)
			}
		}
		k.refuse(t, synTo(10), "no_port")
	}
}
