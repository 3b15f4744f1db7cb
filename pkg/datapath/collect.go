package datapath

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
)

const (
	collectEvery = time.Second
	// collectShare bounds the part of one CPU that goes into walks through the table: after one, rest this many times as long as it took.
	collectShare = 20
	// orphanPasses is how many passes there are to one that also looks for reverse entries without a forward one.
	// None should ever be found.
	orphanPasses = 60
	orphanAge    = 30 * time.Second
)

// skbContext is the start of struct __sk_buff, as far as BPF_PROG_RUN takes it.
type skbContext struct {
	_              [9]uint32
	IngressIfindex uint32
	Ifindex        uint32
	_              uint32
	Cb             [5]uint32
}

// collector forgets flows whose time is over.
type collector struct {
	obj *object
	// timeouts of a service, also of one that is gone but has flows.
	timeouts func(service uint32) Timeouts
	// each calls yield for the timeouts of every service that timeouts knows.
	each func(yield func(Timeouts))
	// reset tells an end that its flow is over; nil: it finds out by itself.
	reset  func(ended)
	passes int

	mu sync.Mutex // guards obj.doomed
}

// sentence is a flow that is to be deleted, with what its ends are told.
type sentence struct {
	lbWgDoomed
	front, client, back, task netip.AddrPort
	clientIface, taskIface    uint32
	givenUp                   bool // no server has answered its client in time
}

func sentenceOf(key lbWgKey, fwd, rev lbWgFlow) sentence {
	return sentence{
		lbWgDoomed: lbWgDoomed{Key: key, State: fwd.State, Generation: fwd.Generation, Seen: fwd.Seen, TwinSeen: rev.Seen},
		client:     addrPort(key.Saddr, key.Sport), front: addrPort(key.Daddr, key.Dport),
		back: addrPort(fwd.Saddr, fwd.Sport), task: addrPort(fwd.Daddr, fwd.Dport),
		clientIface: rev.Ifindex, taskIface: fwd.Ifindex,
	}
}

// sparingly calls do, which walks through the table of flows, each second and when it is woken, until ctx ends. After one that took long it
// rests for longer: see collectShare.
func sparingly(ctx context.Context, wake <-chan struct{}, do func()) {
	timer := time.NewTimer(collectEvery)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		case <-timer.C:
		}
		start := time.Now()
		do()
		timer.Reset(max(collectEvery, collectShare*time.Since(start)))
	}
}

// pass looks at every flow once and returns how many it deleted. now is monotonicNow's clock.
func (c *collector) pass(now uint64) (deleted int, err error) {
	c.passes++
	orphans := c.passes%orphanPasses == 0
	pending := make([]sentence, 0, len(c.obj.doomed))
	var flushErr error
	flush := func() {
		var n int
		n, flushErr = c.execute(pending)
		deleted += n
		pending = pending[:0]
	}
	err = c.obj.eachDue(c.lives(now, orphans), func(key lbWgKey, f lbWgFlow) bool {
		if s, ok := c.judge(key, f, now, orphans); ok {
			pending = append(pending, s)
		}
		if len(pending) == cap(pending) {
			flush()
		}
		return flushErr == nil
	})
	if err == nil && flushErr == nil {
		flush()
	}
	if err == nil {
		err = flushErr
	}
	return deleted, err
}

// lives says which entries judge is to see, at least: all that may be over.
func (c *collector) lives(now uint64, orphans bool) lbWgLives {
	established, half := EstablishedDefault, min(HalfOpenMin, halfOpenAwaited)
	c.each(func(t Timeouts) {
		established = min(established, shortestEstablished(t))
		if t.Connect > 0 {
			half = min(half, t.Connect/4) // sooner than the client's next SYN comes
		}
	})
	ago := func(d time.Duration) uint64 { return now - min(now, uint64(d)) }
	l := lbWgLives{
		Half: ago(half), Established: ago(established), Reset: ago(holdReset),
		ClientFirst: ago(holdClientFirst), ServerFirst: ago(holdServerFirst), Tombstone: ago(min(holdTombstone, holdServerFirst)),
	}
	if orphans {
		l.Orphan = ago(orphanAge)
	}
	return l
}

// judge says whether the entry is to be deleted, with its twin, given that nothing happens to it meanwhile.
func (c *collector) judge(key lbWgKey, f lbWgFlow, now uint64, orphans bool) (s sentence, ok bool) {
	if f.Dir == dirTombstone {
		s.Key, s.How, s.State, s.Generation = key, lbWgDoomWG_DOOM_ORPHAN, f.State, f.Generation
		if f.TcpFlags&tcpFin != 0 { // its client began anew from the same port
			return s, idle(now, f.Seen) >= holdServerFirst
		}
		return s, idle(now, f.Seen) >= holdTombstone
	}
	if f.Dir == dirReverse {
		if !orphans || idle(now, f.Created) < orphanAge {
			return s, false
		}
		_, paired := twin(c.obj.WgFlows, f)
		s.Key, s.How, s.State, s.Generation = key, lbWgDoomWG_DOOM_ORPHAN, f.State, f.Generation
		return s, !paired
	}
	t := c.timeouts(f.Service)
	awaited := f.State == lbWgStateWG_HALF && atomic.LoadUint64(&c.obj.gauges[f.ServiceGauge].Waiting) > 0
	due := !awaited && idle(now, f.Seen) >= shortestLife(f, t) || awaited && idle(now, f.Seen) >= halfOpenAwaited
	if !due && !awaitsAnswer(f, t, now) {
		return s, false
	}
	rev, ok := twin(c.obj.WgFlows, f)
	if !ok {
		rev = lbWgFlow{Seen: f.Seen}
	}
	s = sentenceOf(key, f, rev)
	s.End = lbWgEnd(timeoutEnd(f, rev, t))
	s.givenUp = ok && givenUp(f, rev, t, now)
	if s.givenUp || awaited { // what the server repeats says nothing of the client
		return s, s.givenUp || due
	}
	return s, idle(now, max(f.Seen, rev.Seen)) >= lifetime(f, rev, t)
}

func idle(now, since uint64) time.Duration {
	if since >= now {
		return 0
	}
	return time.Duration(now - since)
}

// execute has the kernel delete flows, tells their ends, and returns how many there were.
func (c *collector) execute(doomed []sentence) (deleted int, err error) {
	for batch := range slices.Chunk(doomed, len(c.obj.doomed)) {
		n, err := c.executeBatch(batch)
		deleted += n
		if err != nil {
			return deleted, err
		}
	}
	return deleted, nil
}

func (c *collector) executeBatch(batch []sentence) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range batch {
		c.obj.doomed[i] = batch[i].lbWgDoomed
	}
	deleted, err := c.obj.WgCollect.Run(&ebpf.RunOptions{
		Data:    make([]byte, 64), // the kernel wants a frame; the program does not look at it
		Context: skbContext{Cb: [5]uint32{uint32(len(batch))}},
	})
	if err != nil {
		return 0, fmt.Errorf("delete flows: %w", err)
	}
	for i := range batch {
		batch[i].lbWgDoomed = c.obj.doomed[i] // with the program's answer
		c.tell(&batch[i])
	}
	return int(deleted), nil
}

// tell resets both ends of a deleted flow that they believe to be alive. A handshake that was never finished needs none:
// who sends SYNs from made-up addresses would have us answer them. But a client that no server has answered hears of it, once for all
// its SYNs, as it would from a port where nobody listens.
func (c *collector) tell(s *sentence) {
	alive := s.State == lbWgStateWG_ESTABLISHED || s.State == lbWgStateWG_HALF && s.How == lbWgDoomWG_DOOM_FORCED
	unanswered := s.State == lbWgStateWG_HALF && s.givenUp && s.Answered == 0
	if c.reset == nil || !unanswered && (!alive || s.Answered == 0) {
		return
	}
	c.reset(ended{from: s.front, to: s.client, ifindex: s.clientIface, expects: s.ClientAck, sent: s.ServerNext, spoke: s.ClientNext})
	if unanswered {
		return
	}
	c.reset(ended{from: s.back, to: s.task, ifindex: s.taskIface, expects: s.ServerAck, sent: s.ClientNext, spoke: s.ServerNext})
}
