package datapath

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// fill puts n established flows into the table, in the form in which the program writes them.
func (k *kernel) fill(t testing.TB, n int) {
	t.Helper()
	const batch = 4096
	now := monotonicNow()
	keys, flows := make([]lbWgKey, 0, 2*batch), make([]lbWgFlow, 0, 2*batch)
	flush := func() {
		if len(keys) == 0 {
			return
		}
		if _, err := k.obj.WgFlows.BatchUpdate(keys, flows, nil); err != nil {
			t.Fatal(err)
		}
		keys, flows = keys[:0], flows[:0]
	}
	service, task := ap(front()), ap(taskAddr(0)+":9000")
	for i := range n {
		from, back := fillAddrs(i)
		fwdKey := lbWgKey{Saddr: from.Addr().As16(), Daddr: service.Addr().As16(), Sport: netOrder(from.Port()), Dport: netOrder(service.Port())}
		revKey := lbWgKey{Saddr: task.Addr().As16(), Daddr: back.Addr().As16(), Sport: netOrder(task.Port()), Dport: netOrder(back.Port())}
		both := lbWgFlow{Service: 7, Server: 101, Generation: uint64(i) + 1, Tag: uint32(i) + 1, Created: now, Seen: now}
		fwd, rev := both, both
		fwd.State, fwd.Dir = lbWgStateWG_ESTABLISHED, dirForward
		fwd.Saddr, fwd.Daddr, fwd.Sport, fwd.Dport = revKey.Daddr, revKey.Saddr, revKey.Dport, revKey.Sport
		rev.Dir = dirReverse
		rev.Saddr, rev.Daddr, rev.Sport, rev.Dport = fwdKey.Daddr, fwdKey.Saddr, fwdKey.Dport, fwdKey.Sport
		keys, flows = append(keys, fwdKey, revKey), append(flows, fwd, rev)
		if len(keys) == cap(keys) {
			flush()
		}
	}
	flush()
}

// fillAddrs are client and source address of the i'th flow of fill.
func fillAddrs(i int) (client, back netip.AddrPort) {
	port := uint16(1024 + i&63)
	at := func(first byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{first, byte(i >> 22), byte(i >> 14), byte(i >> 6)}), port)
	}
	return at(10), at(11)
}

// BenchmarkCollector measures a pass over a table of live flows. The collector rests twenty times as long as a pass takes, so its
// share of a CPU is at most 5 %, whatever a pass costs; what grows with the table is how late a flow is found to be over.
func BenchmarkCollector(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			k := newKernel(b, Options{FlowMax: uint32(n) + 1000})
			k.fill(b, n)
			c := k.collector(Timeouts{Client: time.Hour, Server: time.Hour})
			later := monotonicNow() + uint64(time.Minute) // all have been idle for a while
			b.ResetTimer()
			for range b.N {
				if deleted, err := c.pass(later); deleted != 0 || err != nil {
					b.Fatalf("%d deleted, %v", deleted, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/flow")
		})
	}
}
