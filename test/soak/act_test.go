package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// act is something that happens while the load runs. It has undone what it did when it returns.
type act struct {
	name  string
	hurts string // the group of lanes of which exchanges may fail meanwhile and just after it: "", "http", "tcp" or "all"
	blind string // the same, if DNS fails at that time
	uses  string // the group whose traffic the act itself makes: what may fail there may fail here
	run   func(ctx context.Context, s *stage, dice *rand.Rand) error
}

// streams are the acts; those of one stream follow each other in random order, and the streams run side by side. What is random in a
// stream depends on the seed only.
func streams() [][]act {
	return [][]act{taskActs(), operatorActs(), dnsActs(), interfaceActs(), clientActs()}
}

// happened is an act that was carried out.
type happened struct {
	act        act
	began, end time.Time
	err        error
}

// afterwards is how long after an act its harm may still show: checks, holds and retransmissions have to see its end.
const afterwards = 5 * time.Second

// excuses says whether a failure is due to the act.
func (h *happened) excuses(f *failure) bool {
	return (h.act.hurts == "all" || h.act.hurts == f.lane.group) && h.around(f.began, f.end)
}

// around says whether the act, or its afterwards, falls into a span of time.
func (h *happened) around(began, end time.Time) bool {
	return end.After(h.began) && began.Before(h.end.Add(afterwards))
}

// programme carries the acts out: each once if the duration is 0, else again and again until it is over.
type programme struct {
	s        *stage
	streams  [][]act
	duration time.Duration
	seed     uint64

	mu  sync.Mutex
	log []happened
}

func (p *programme) run(ctx context.Context) {
	var running sync.WaitGroup
	deadline := time.Now().Add(p.duration)
	for i, acts := range p.streams {
		running.Go(func() {
			dice := rand.New(rand.NewPCG(p.seed, uint64(i)))
			for again := true; again; again = p.duration > 0 && time.Now().Before(deadline) {
				for _, i := range dice.Perm(len(acts)) {
					if ctx.Err() != nil || p.duration > 0 && time.Now().After(deadline) {
						return
					}
					p.perform(ctx, acts[i], dice)
				}
			}
		})
	}
	running.Wait()
}

func (p *programme) perform(ctx context.Context, a act, dice *rand.Rand) {
	h := happened{act: a, began: time.Now()}
	p.s.journal.note("begins: " + a.name)
	h.err = a.run(ctx, p.s, dice)
	h.end = time.Now()
	p.s.journal.note("has ended: " + a.name)
	p.mu.Lock()
	p.log = append(p.log, h)
	p.mu.Unlock()
	breathe(ctx, time.Duration(dice.Int64N(int64(time.Second))))
}

// breathe waits, but not longer than ctx.
func breathe(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// excused divides failures into those that an act explains and the others. Wrong bytes are never explained.
func (p *programme) excused(failures []failure) (excused, others []failure) {
	for _, f := range failures {
		if p.explains(&f) {
			excused = append(excused, f)
		} else {
			others = append(others, f)
		}
	}
	return excused, others
}

// excusesAct says whether the failure of an act that makes traffic is due to another one.
func (p *programme) excusesAct(h *happened) bool {
	for i := range p.log {
		other := &p.log[i]
		hurts := other.act.hurts
		if h.act.uses != "" && hurts != "" && (hurts == "all" || h.act.uses == "all" || hurts == h.act.uses) && other.around(h.began, h.end) {
			return true
		}
	}
	return false
}

func (f *failure) String() string {
	return fmt.Sprintf("%s to %s %s: %s", f.began.Format("15:04:05.000"), f.end.Format("05.000"), f.lane.name, short(f.err))
}

// during lists what happened around a failure.
func (p *programme) during(f *failure) (names []string) {
	for i := range p.log {
		if h := &p.log[i]; h.around(f.began, f.end) {
			names = append(names, fmt.Sprintf("%s (%s to %s)", h.act.name, h.began.Format("05.000"), h.end.Format("05.000")))
		}
	}
	return names
}

func (p *programme) explains(f *failure) bool {
	if errors.Is(f.err, errWrong) {
		return false
	}
	for i := range p.log {
		h := &p.log[i]
		if h.excuses(f) || h.act.blind == f.lane.group && h.around(f.began, f.end) && p.blind(h) {
			return true
		}
	}
	return false
}

// blind says whether DNS did not tell what the act did.
func (p *programme) blind(h *happened) bool {
	for i := range p.log {
		if d := &p.log[i]; strings.HasPrefix(d.act.name, dnsFails) && d.around(h.began, h.end) {
			return true
		}
	}
	return false
}
