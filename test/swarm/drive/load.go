package drive

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Lane is one kind of load.
type Lane struct {
	Name string
	// Goal says that no exchange may fail; a connection that a task holds when it ends must.
	Goal    bool
	HTTP    bool
	target  int
	workers int
	pause   time.Duration // between two exchanges of a worker
	takes   time.Duration // what an exchange takes by its nature
	make    func(dial dialer, address string) *exchanger
}

// Lanes are what every contender carries, all the time.
func Lanes() []Lane {
	return []Lane{
		{
			Name: "HTTP, kept connections", Goal: true, HTTP: true, target: httpTarget, workers: 4, pause: 50 * time.Millisecond,
			make: func(dial dialer, address string) *exchanger { return newHTTP(dial, address, "/", true) },
		},
		{
			Name: "HTTP, requests of 200 ms", Goal: true, HTTP: true, target: httpTarget, workers: 2, pause: 20 * time.Millisecond,
			takes: 200 * time.Millisecond,
			make:  func(dial dialer, address string) *exchanger { return newHTTP(dial, address, "/work", true) },
		},
		{
			Name: "HTTP, new connections", Goal: true, HTTP: true, target: httpTarget, workers: 2, pause: 40 * time.Millisecond,
			make: func(dial dialer, address string) *exchanger { return newHTTP(dial, address, "/", false) },
		},
		{
			Name: "TCP, new connections", Goal: true, target: lineTarget, workers: 2, pause: 40 * time.Millisecond,
			make: func(dial dialer, address string) *exchanger { return newLine(dial, address, false) },
		},
		{
			Name: "TCP, held connections", target: lineTarget, workers: 3, pause: 200 * time.Millisecond,
			make: func(dial dialer, address string) *exchanger { return newLine(dial, address, true) },
		},
	}
}

// slowAfter is how much longer than by its nature an exchange may take before it counts as slow.
const slowAfter = 500 * time.Millisecond

// load is what all contenders carry.
type load struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// startLoad begins the load on all contenders. Stop it.
func (s *Stage) startLoad(t *tally) *load {
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{cancel: cancel}
	for i, c := range s.Contenders {
		for _, lane := range Lanes() {
			address := netip.AddrPortFrom(s.Engine.NodeAddr(), published(i, lane.target)).String()
			for range lane.workers {
				x := lane.make(s.Engine.DialContext, address)
				l.done.Go(func() { carry(ctx, x, c.Name, lane, t) })
			}
		}
	}
	return l
}

func (l *load) stop() {
	l.cancel()
	l.done.Wait()
}

// carry exchanges until ctx ends.
func carry(ctx context.Context, x *exchanger, contender string, lane Lane, t *tally) {
	defer x.close()
	for {
		act := t.begin()
		began := time.Now()
		_, err := x.once(ctx)
		if ctx.Err() != nil {
			return
		}
		t.add(act, contender, lane, began, time.Since(began), err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(lane.pause):
		}
	}
}
