package resolver

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"waggle/pkg/pool"
)

// member is a group that wants a name, and the networks it prefers.
type member struct {
	group *pool.Group
	want  Want
}

// lookup is one name that is resolved again and again, for all groups that want it.
type lookup struct {
	r        *Resolver
	log      *slog.Logger
	name     string // canonical: lower case, absolute
	types    []uint16
	end      context.CancelFunc // ends run; nil when it does not run. Guarded by Resolver.mu
	guard    guard              // used by the run loop only
	findings                    // used by the run loop only
	// targetTypes are what is asked for the targets of a name of service records.
	targetTypes []uint16

	mu      sync.Mutex // guards what follows; the run loop writes, Status reads
	members []member   // replaced, never changed in place
	memory  memory
	last    outcome   // of the last cycle
	lastEnd time.Time // when it ended; zero before the first
	refused []netip.Addr
	isVIP   bool
	noted   findings // those of the last cycle, for a reload
}

// findings are what was found out about a name, beside its addresses.
type findings struct {
	inside   bool                  // it was seen inside an attached subnet; see guard
	vip      vipProbe              // whether its only address is virtual
	targetAt map[string]netip.Addr // where the targets of service records are; never changed in place
}

// shown is the name without the root's dot, for people.
func (l *lookup) shown() string { return strings.TrimSuffix(l.name, ".") }

// groups returns those that want the name.
func (l *lookup) groups() []member {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.members
}

// join has one more group want the name. Its slots are filled at the next answer.
func (l *lookup) join(m member) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.members = append(slices.Clip(l.members), m)
}

// leave has a group not want the name any more, and says whether it was the last one.
func (l *lookup) leave(g *pool.Group) (last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := slices.DeleteFunc(slices.Clone(l.members), func(m member) bool { return m.group == g })
	last = len(l.members) > 0 && len(left) == 0
	l.members = left
	return last
}

// run resolves until ctx ends.
func (l *lookup) run(ctx context.Context, delay time.Duration) {
	l.mu.Lock()
	switch {
	case !l.lastEnd.IsZero(): // it goes on where another one was before a reload
		delay = max(0, time.Until(l.lastEnd.Add(l.r.pause())))
	case !l.memory.haproxy:
		l.memory.lastValid = time.Now()
	}
	l.mu.Unlock()
	for sleep(ctx, delay) {
		o := l.locate(ctx, l.cycle(ctx))
		if ctx.Err() != nil {
			return
		}
		l.take(time.Now(), o)
		l.lookForVIP(ctx, o)
		l.note()
		delay = l.r.pause()
	}
}

// note keeps what was found out where a reload finds it.
func (l *lookup) note() {
	l.inside = l.guard.task
	l.mu.Lock()
	l.noted = l.findings
	l.mu.Unlock()
}

// sleep waits, and reports whether it was for the whole time rather than until ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return ctx.Err() == nil
	}
}

// cycle asks until there is an answer that counts, at most `resolve_retries` times and each time
// `timeout retry` after the time before.
func (l *lookup) cycle(ctx context.Context) outcome {
	var best outcome
	tries := max(1, l.r.section.Retries)
	for n := range tries {
		until := time.Now().Add(l.r.section.TimeoutRetry)
		o, all := l.try(ctx, until)
		if best = better(o, best); best.found() || all || n == tries-1 {
			break
		}
		if !sleep(ctx, time.Until(until)) {
			break
		}
	}
	return best
}

// try asks all nameservers once for each record type, until a time. The first answer with addresses
// ends it. It reports whether every nameserver has answered, with whatever.
func (l *lookup) try(ctx context.Context, until time.Time) (best outcome, all bool) {
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	all = len(l.r.nameservers) > 0
	best.status = statusTimeout
	for _, qtype := range l.types {
		o, complete := l.r.askAll(ctx, l.name, qtype)
		best, all = better(o, best), all && complete
		if best.found() {
			return best, true
		}
	}
	return best, all
}

// take lets the memory judge an outcome, tells the pool and reports what people should know.
func (l *lookup) take(now time.Time, o outcome) {
	admitted, refused := l.guard.admit(o.addrs)
	if len(refused) > 0 && len(admitted) == 0 {
		// An answer from somewhere else is what Docker says of a service without tasks where the
		// host's resolvers know a wildcard; without it, the answer would have been NXDOMAIN.
		o.status = statusNX
	}
	o.addrs = admitted
	o.ends = slices.DeleteFunc(o.ends, func(e endpoint) bool { return slices.Contains(refused, e.addr) })

	l.mu.Lock()
	was, wasRefused, wasRotating := l.last.status, l.refused, l.memory.rotation.on
	v := l.memory.learn(now, o)
	rotating := l.memory.rotation.on
	l.last, l.lastEnd, l.refused = o, now, refused
	records := slices.Clone(v.records)
	l.mu.Unlock()

	l.count(o, v, refused)
	l.report(was, o, v)
	l.reportRefused(wasRefused, refused)
	if rotating && !wasRotating && !l.memory.haproxy {
		l.log.Warn("answers hold changing parts of a larger set of addresses; one that is missing is used for hold obsolete")
	}
	if v.silent {
		return
	}
	for _, m := range l.groups() {
		m.group.Resolve(m.resolution(v, records))
	}
}

// resolution puts a verdict into the pool's words.
func (m member) resolution(v verdict, records []known) pool.Resolution {
	res := pool.Resolution{By: v.by, Cause: v.cause, KeepHealthy: v.keepHealthy}
	service := isService(m.group.FQDN)
	if service && v.cause == pool.CauseNoIP {
		res.Cause = pool.CauseNotInSRV
	}
	for _, k := range records {
		preferred := slices.ContainsFunc(m.want.Nets, func(p netip.Prefix) bool { return p.Contains(k.addr) })
		res.Records = append(res.Records, pool.Record{
			Addr: k.addr, Port: k.port, Leaving: k.leaving, Preferred: preferred,
			Weighted: service && !m.want.IgnoreWeight, Weight: (k.weight + 255) / 256,
		})
	}
	return res
}

func (l *lookup) count(o outcome, v verdict, refused []netip.Addr) {
	t := l.r.totals
	t.cycles.Add(1)
	t.leaving.Add(uint64(v.left))
	t.refused.Add(uint64(len(refused)))
	if v.keepHealthy {
		t.keptHealthy.Add(1)
	}
	if v.changed && o.by != nil {
		o.by.update.Add(1)
	}
}

// report logs when a name begins to fail and when it is back, not what happens in between.
func (l *lookup) report(was status, o outcome, v verdict) {
	switch {
	case o.status == was:
	case o.status == statusValid && was != statusNone:
		l.log.Info("name resolves again", "addresses", len(o.addrs))
	case o.status != statusValid:
		by := "no nameserver"
		if o.by != nil {
			by = o.by.name
		}
		l.log.Warn("name does not resolve", "status", o.status.String(), "by", by, "held", len(v.records))
	}
}

func (l *lookup) reportRefused(was, now []netip.Addr) {
	switch {
	case len(now) > 0 && !slices.Equal(was, now):
		l.log.Warn("addresses refused: the name must be tasks of this swarm, and they are in no attached subnet", "addresses", now)
	case len(was) > 0 && len(now) == 0:
		l.log.Info("no address is refused any more")
	}
}
