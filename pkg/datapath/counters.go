package datapath

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
)

// Reasons lists every reason that Snapshot.Reasons counts, in a stable order.
func Reasons() []Reason {
	return append([]Reason(nil), reasonTable[1:]...)
}

func (c *Counts) add(k lbWgCounter) {
	c.Sessions += k.Sessions
	c.Connections += k.Connections
	c.Retries += k.Retries
	c.Redispatches += k.Redispatches
	c.Failures += k.Failures
	c.ClientAborts += k.ClientAborts
	c.ServerResets += k.ServerResets
	c.ServerTimeouts += k.ServerTimeouts
	c.Ended += k.Ended
	c.Connect.add(k.ConnectSum, time.Duration(k.ConnectMax)*time.Microsecond)
	c.Life.add(k.LifeSum, time.Duration(k.LifeMax)*time.Millisecond)
	c.BytesIn += k.BytesIn
	c.BytesOut += k.BytesOut
}

func (s *Spans) add(us uint64, longest time.Duration) {
	s.Sum += time.Duration(us) * time.Microsecond
	s.Longest = max(s.Longest, longest)
}

// current reads the current numbers of an index. Packets change them meanwhile.
func (c *Counts) current(obj *object, index uint32) {
	g := &obj.gauges[index]
	established := uint64(atomic.LoadUint32(&g.Established))
	open := obj.load(index).open()
	c.Current = established
	c.HalfOpen = open - min(open, established)
	c.Entries = open + uint64(atomic.LoadUint32(&g.Held)) // in this order: a flow that ends meanwhile may count twice, and never not at all
}

// counter sums one entry of wg_counters over all CPUs. Packets go on counting meanwhile; each number is read at once.
func (obj *object) counter(index uint32) (sum lbWgCounter) {
	for i := int(index); i < len(obj.counters); i += counterMax {
		sum = plus(sum, obj.counters[i])
	}
	return sum
}

// clearCounter sets one back. No flow may refer to it.
func (obj *object) clearCounter(index uint32) {
	for i := int(index); i < len(obj.counters); i += counterMax {
		obj.counters[i] = lbWgCounter{}
	}
}

// ledger keeps what was counted in entries of wg_counters that have been given back.
type ledger struct {
	total    lbWgCounter
	services map[uint32]lbWgCounter
	servers  map[uint32]lbWgCounter
}

func newLedger() ledger {
	return ledger{services: make(map[uint32]lbWgCounter), servers: make(map[uint32]lbWgCounter)}
}

func (l *ledger) add(p pair, c lbWgCounter) {
	l.total = plus(l.total, c)
	l.services[p.service] = plus(l.services[p.service], c)
	l.servers[p.server] = plus(l.servers[p.server], c)
}

func plus(a, b lbWgCounter) lbWgCounter {
	a.Connections += b.Connections
	a.Retries += b.Retries
	a.Redispatches += b.Redispatches
	a.Sessions += b.Sessions
	a.PacketsIn += b.PacketsIn
	a.PacketsOut += b.PacketsOut
	a.BytesIn += b.BytesIn
	a.BytesOut += b.BytesOut
	a.Failures += b.Failures
	a.ClientAborts += b.ClientAborts
	a.ServerResets += b.ServerResets
	a.ServerTimeouts += b.ServerTimeouts
	a.Ended += b.Ended
	a.ConnectSum += b.ConnectSum
	a.ConnectMax = max(a.ConnectMax, b.ConnectMax)
	a.LifeSum += b.LifeSum
	a.LifeMax = max(a.LifeMax, b.LifeMax)
	return a
}

// snapshot reads all counters. What cannot be read is left out and reported.
func (obj *object) snapshot(p *planner, past *ledger) (Snapshot, error) {
	s := Snapshot{
		Services: make(map[uint32]Counts),
		Servers:  make(map[uint32]Counts),
		Reasons:  make(map[string]uint64),
		Maps:     make(map[string]MapUse),
	}
	sums := newLedger()
	sums.total = past.total
	for key, index := range p.counters.used {
		sums.add(key, obj.counter(index))
	}
	s.Total.add(sums.total)
	s.Total.current(obj, 0)
	for key, index := range p.gauges.used {
		var c Counts
		c.current(obj, index)
		if key.server {
			c.add(plus(sums.servers[key.id], past.servers[key.id]))
			s.Servers[key.id] = c
		} else {
			c.add(plus(sums.services[key.id], past.services[key.id]))
			s.Services[key.id] = c
		}
	}
	s.Maps[lbMapWgFlows] = MapUse{Entries: uint32(2 * s.Total.Entries), Max: obj.WgFlows.MaxEntries()}
	s.Maps[lbMapWgGauges] = MapUse{Entries: uint32(len(p.gauges.used)), Max: p.gauges.max}
	s.Maps[lbMapWgCounters] = MapUse{Entries: uint32(len(p.counters.used)), Max: p.counters.max}
	return s, obj.readReasons(s.Reasons)
}

func (obj *object) readReasons(into map[string]uint64) error {
	perCPU := make([]uint64, ebpf.MustPossibleCPU())
	for i := uint32(1); i < reasonCount; i++ {
		if err := obj.WgReasons.Lookup(i, perCPU); err != nil {
			return fmt.Errorf("read reasons: %w", err)
		}
		var sum uint64
		for _, n := range perCPU {
			sum += n
		}
		into[reasonTable[i].Name] = sum
	}
	return nil
}
