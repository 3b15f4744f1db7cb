package check

import (
	"container/heap"
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// Dial connects to a server. The error is the operating system's, wrapped or not; when ctx has ended,
// any error will do.
type Dial func(ctx context.Context, addr netip.AddrPort) (net.Conn, error)

// Options are what a checker needs beside its specs. The zero value works.
type Options struct {
	// Pool is the pool of all servers. With it, a server that gets a new address or leaves maintenance
	// is checked at once; without it, when its interval is over.
	Pool *pool.Pool
	// SpreadChecks is `spread-checks`: intervals vary at random by up to this many percent.
	SpreadChecks int
	// MaxSpread is `max-spread-checks`: the first checks of all servers are spread over no more than this, however long
	// their intervals; 0 is no limit.
	MaxSpread time.Duration
	// HAProxyPace turns off what is faster than in HAProxy: the first checks of a new address, which
	// follow each other within at most 500 ms until the server is fully up, for at most 10 s. A task is
	// in Swarm's DNS before it listens, so its first check often fails, and two more at the usual
	// interval would keep it away for seconds after it is ready.
	HAProxyPace bool
	// MaxRunning is how many checks may run at the same time; 0 means 1024. More wait for their turn.
	MaxRunning int
	// Dial connects; nil is the network, from where the server's Source says.
	Dial Dial
	// Rand gives numbers in [0,1) for spread-checks; nil is the standard generator.
	Rand func() float64
}

// Spec is one server's check.
type Spec struct {
	Server  *pool.Server
	Options config.CheckOptions
	Agent   config.AgentOptions
	Check   *config.HealthCheck // nil: the check is to connect
	Node    string              // this balancer's name, for http-check send-state
	TLS     *tls.Config         // what is said goes over TLS; nil: in clear text
	// ConnectTimeout is `timeout connect` and CheckTimeout `timeout check`; 0 means not set. Without
	// CheckTimeout the whole check must end within `inter`; with it, connecting must within the
	// shorter of `inter` and ConnectTimeout, and the answer must come CheckTimeout later.
	ConnectTimeout, CheckTimeout time.Duration
}

const (
	defaultMaxRunning = 1024
	// freshPace and freshWindow are the pace of checks of a new address, and for how long at most.
	freshPace   = 500 * time.Millisecond
	freshWindow = 10 * time.Second
	// lateAfter is how long after its time a check may begin without being counted as late.
	lateAfter = 100 * time.Millisecond
)

// Checker checks servers until it is stopped. Add what is there at the start, then call Run once; Add and
// Remove may be called while it runs.
type Checker struct {
	opts  Options
	tasks []*task // that were there at the start

	queue   queue      // what waits for its time; owned by Run
	running int        // owned by Run
	done    chan *task // checks that ended

	started, late atomic.Uint64

	inherited map[inherited]*task // the tasks of the checker before this one; see Inherit
	unobserve func()

	mu     sync.Mutex
	of     map[*pool.Server][]*task // its checks, and its agent's
	began  bool                     // Run has; what is added from now on goes by way of added
	added  []*task                  // not scheduled yet
	gone   []*task                  // to be forgotten
	woken  map[*pool.Server]waking  // servers to look at
	wakeup chan struct{}
}

// New returns a checker that knows no server yet.
func New(opts Options) *Checker {
	if opts.MaxRunning == 0 {
		opts.MaxRunning = defaultMaxRunning
	}
	if opts.Rand == nil {
		opts.Rand = rand.Float64
	}
	c := &Checker{
		opts: opts, of: make(map[*pool.Server][]*task), done: make(chan *task),
		woken: make(map[*pool.Server]waking), wakeup: make(chan struct{}, 1),
	}
	if opts.Pool != nil {
		c.unobserve = opts.Pool.Observe(c.observe)
	}
	return c
}

// Add makes the checker check a server, which has no check yet.
func (c *Checker) Add(s Spec) {
	var tasks []*task
	if s.Options.Enabled {
		tasks = append(tasks, &task{Spec: s, index: -1})
	}
	if s.Agent.Enabled {
		tasks = append(tasks, &task{Spec: s, index: -1, agent: true})
	}
	if len(tasks) == 0 {
		return
	}
	c.mu.Lock()
	c.of[s.Server] = tasks
	began := c.began
	if began {
		c.added = append(c.added, tasks...)
	} else {
		c.tasks = append(c.tasks, tasks...)
	}
	c.mu.Unlock()
	if began {
		c.rouse()
	}
}

// Remove ends the checks of a server. The outcome of one that is running does not count any more.
func (c *Checker) Remove(s *pool.Server) {
	c.mu.Lock()
	c.gone = append(c.gone, c.of[s]...)
	delete(c.of, s)
	c.mu.Unlock()
	c.rouse()
}

// Totals count a checker's work. They only grow.
type Totals struct {
	Started uint64 // checks that were started
	Late    uint64 // of these, those that began 100 ms or more after their time; MaxRunning is too low then
}

// Totals returns what was done so far. It may be called at any time from any goroutine.
func (c *Checker) Totals() Totals { return Totals{Started: c.started.Load(), Late: c.late.Load()} }

// Run checks until ctx ends; then it returns when all running checks have ended, which is at once.
func (c *Checker) Run(ctx context.Context) {
	c.mu.Lock()
	c.began = true
	c.mu.Unlock()
	c.spread(time.Now())
	if c.unobserve != nil {
		defer c.unobserve()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		c.startDue(ctx, time.Now())
		timer.Reset(c.untilNext(time.Now()))
		select {
		case <-ctx.Done():
			for ; c.running > 0; c.running-- {
				<-c.done
			}
			return
		case <-timer.C:
		case t := <-c.done:
			c.finish(t, time.Now())
		case <-c.wakeup:
			c.wake(time.Now())
		}
	}
}

// Inherit has checks go on at the times that another checker has for the same servers. The other one has to have ended
// before Run, which looks there.
func (c *Checker) Inherit(old *Checker) {
	c.inherited = make(map[inherited]*task)
	old.mu.Lock()
	defer old.mu.Unlock()
	for s, tasks := range old.of {
		for _, t := range tasks {
			c.inherited[inherited{s.Key, t.agent}] = t
		}
	}
}

// inherited names a task: a server's check, or its agent's.
type inherited struct {
	server uint32
	agent  bool
}

func (c *Checker) schedule(t *task, due time.Time) {
	t.due = due
	if t.index >= 0 {
		heap.Fix(&c.queue, t.index)
		return
	}
	heap.Push(&c.queue, t)
}

// startDue starts the checks whose time has come, while there is room.
func (c *Checker) startDue(ctx context.Context, now time.Time) {
	for len(c.queue) > 0 && c.running < c.opts.MaxRunning && !c.queue[0].due.After(now) {
		t := c.queue[0]
		v := t.Server.View()
		if !t.runnable(&v) {
			c.schedule(t, now.Add(t.pause()))
			continue
		}
		heap.Pop(&c.queue)
		checking, cancel := context.WithCancel(ctx)
		t.cancel = cancel
		c.running++
		c.started.Add(1)
		if now.Sub(t.due) >= lateAfter {
			c.late.Add(1)
		}
		go func() {
			t.do(checking, c.dial(t), v.Addr)
			c.done <- t
		}()
	}
}

// untilNext is how long nothing is due. While there is no room, only the end of a check matters.
func (c *Checker) untilNext(now time.Time) time.Duration {
	const idle = time.Hour
	if len(c.queue) == 0 || c.running >= c.opts.MaxRunning {
		return idle
	}
	return c.queue[0].due.Sub(now)
}

// finish schedules the next check after one has ended.
func (c *Checker) finish(t *task, now time.Time) {
	c.running--
	t.cancel()
	t.cancel = nil
	if t.removed {
		return
	}
	if t.again {
		t.again = false
		c.schedule(t, now)
		return
	}
	c.schedule(t, now.Add(c.interval(t, now)))
}
