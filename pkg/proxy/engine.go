package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"waggle/pkg/pool"
	"waggle/pkg/proxy/sock"
	"waggle/pkg/unixaddr"
	"waggle/pkg/userlist"
)

// Engine is the userspace path. New, Listen and Start are called once, in this order; the other methods may be called
// from any goroutine. Another configuration takes the place of the first by [Engine.Prepare].
type Engine struct {
	setup   Setup // without Config, Pool and Access, which are the plan's
	plan    atomic.Pointer[plan]
	sizes   sizes
	log     *slog.Logger
	workers []*worker
	// congestion is the congestion control of connections to servers; "" is the default.
	congestion string

	mu    sync.Mutex
	binds []*binding // what is listened on

	refusals  refusals
	shortages shortages
	fullFiles fullFiles
	logins    *userlist.Checker

	live       atomic.Int64  // sessions
	compressed meter         // bytes of responses
	numbers    atomic.Uint64 // of requests, where a format shows them
	paused     atomic.Int32  // listeners that wait for a place
	accepting  atomic.Int32  // loops that have not begun to stop
	turn       atomic.Uint32 // of the listeners that wait, whose it is
	started    bool

	services chan func()
	quit     chan struct{} // closed when no work is left for the service goroutines
	loops    sync.WaitGroup
	adapters sync.WaitGroup // connections that speak TLS or HTTP/2
	others   sync.WaitGroup

	reloading              sync.Mutex
	reloads, reloadsFailed atomic.Uint64 // of certificates

	done chan struct{}
}

// New returns an engine for a configuration, which neither listens nor runs yet. The caller closes it.
func New(setup Setup) (*Engine, error) {
	if setup.Loops <= 0 {
		setup.Loops = runtime.GOMAXPROCS(0)
	}
	e := &Engine{setup: setup, log: setup.Logger, done: make(chan struct{}), quit: make(chan struct{}), logins: userlist.NewChecker(),
		services: make(chan func(), maxServices), congestion: sock.Unpaced()}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	pl, err := e.newPlan(setup)
	if err != nil {
		return nil, err
	}
	e.plan.Store(pl)
	pl.tellLimits()
	e.sizes = pl.sizes
	e.refusals.limits = pl.limits
	e.setup.Config, e.setup.Pool, e.setup.Access = nil, nil, nil
	for i := range setup.Loops {
		w, err := newWorker(e, i)
		if err != nil {
			e.closeUnstarted()
			return nil, err
		}
		e.workers = append(e.workers, w)
	}
	return e, nil
}

func (e *Engine) newPlan(setup Setup) (*plan, error) {
	pl, err := newPlan(setup.Config, setup.Pool)
	if err != nil {
		return nil, err
	}
	pl.access = setup.Access
	for _, fe := range pl.frontends {
		fe.logs = setup.Access != nil && len(fe.cfg.Logs) > 0
	}
	return pl, nil
}

// Listen binds every address of every frontend. All binds are tried; the error joins
// those that failed, each with the place of its line, in HAProxy's words. Then nothing is left open.
func (e *Engine) Listen() error {
	binds, err := e.bindAll(e.plan.Load(), nil)
	if err != nil {
		return err
	}
	for _, b := range binds {
		for i, w := range e.workers {
			w.listeners = append(w.listeners, b.in.listeners[i])
		}
	}
	e.mu.Lock()
	e.binds = binds
	e.mu.Unlock()
	return nil
}

// BindError is a bind line whose address could not be had.
type BindError struct {
	Frontend, File string
	Line           int
	Addr           netip.AddrPort
	Err            error
}

// Error words it as HAProxy does.
func (b *BindError) Error() string {
	reason := b.Err.Error()
	var errno unix.Errno
	if errors.As(b.Err, &errno) {
		reason = sentence(errno)
	}
	kind, where := "socket", fmt.Sprintf("%s:%d", b.Addr.Addr(), b.Addr.Port())
	if name, ok := unixaddr.Name(b.Addr.Addr()); ok {
		kind, where = "UNIX socket", name
	}
	return fmt.Sprintf("Starting frontend %s: cannot bind %s (%s) for [%s]", b.Frontend, kind, reason, where)
}

// Unwrap returns the system's error.
func (b *BindError) Unwrap() error { return b.Err }

// sentence is an errno as strerror(3) words it: Go's text with a capital.
func sentence(errno unix.Errno) string {
	text := []byte(errno.Error())
	if len(text) > 0 && 'a' <= text[0] && text[0] <= 'z' {
		text[0] -= 'a' - 'A'
	}
	return string(text)
}

// Addrs returns the addresses that are listened on, in the order of the bind lines; valid after Listen.
func (e *Engine) Addrs() []netip.AddrPort {
	e.mu.Lock()
	defer e.mu.Unlock()
	var addrs []netip.AddrPort
	for _, b := range e.binds {
		addrs = append(addrs, b.in.addr)
	}
	return addrs
}

// Start begins to accept connections.
func (e *Engine) Start() {
	e.started = true
	e.accepting.Store(int32(len(e.workers)))
	if err := e.workers[0].loop.Slow(); err != nil {
		e.log.Warn("the kernel does not take writes to many sockets at once, so requests cost more", "error", err)
	}
	for _, w := range e.workers {
		w.loop.Hold(runtime.GOMAXPROCS(0) > len(e.workers))
		for _, l := range w.listeners {
			w.loop.Post(func() {
				if err := l.start(); err != nil {
					e.log.Error("cannot accept connections", "frontend", l.fe.cfg.Name, "error", err)
				}
			})
		}
		e.loops.Go(w.run)
	}
	for range serviceWorkers {
		e.others.Go(e.serve)
	}
	e.others.Go(e.watch)
	e.others.Go(e.followCertificates)
	go func() { // ends when all loops have ended, which SoftStop and Close bring about
		e.loops.Wait()
		e.adapters.Wait()
		close(e.quit)
		e.others.Wait()
		e.logins.Close()
		close(e.done)
	}()
}

// watch has the loops follow the servers: their addresses, and that they went down.
func (e *Engine) watch() {
	for {
		changed := e.plan.Load().pool.Changed() // first, so that no change falls between a look and the next wait
		for _, w := range e.workers {
			w.loop.Post(w.purge)
		}
		select {
		case <-e.quit:
			return
		case <-changed:
		}
	}
}

// SoftStop closes the listeners and lets sessions end: idle ones at once, others after their response,
// which then says `connection: close`. Done tells when the last one has ended.
func (e *Engine) SoftStop() {
	for _, w := range e.workers {
		w.loop.Post(w.softStop)
	}
}

// ShutdownSessions ends all sessions on a server, as the Runtime API's `shutdown sessions server` does.
func (e *Engine) ShutdownSessions(server *pool.Server) {
	for _, w := range e.workers {
		w.loop.Post(func() { w.endSessions('K', func(s *pool.Server) bool { return s.Key == server.Key }) })
	}
}

// ShutdownFrontends ends all sessions of the frontends that which picks, which runs on the loops. A session is its
// frontend's of the configuration under which it, or its last request, began.
func (e *Engine) ShutdownFrontends(which func(*pool.Frontend) bool) {
	for _, w := range e.workers {
		w.loop.Post(func() { w.endIf('K', func(s *session) bool { return which(s.fe.stats) }) })
	}
}

// Close ends all sessions at once and waits until everything has been freed, or ctx has ended.
func (e *Engine) Close(ctx context.Context) error {
	if !e.started {
		e.closeUnstarted()
		return nil
	}
	for _, w := range e.workers {
		w.loop.Post(w.hardStop)
	}
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stop the proxy: %w", ctx.Err())
	}
}

func (e *Engine) closeUnstarted() {
	for _, w := range e.workers {
		w.closeUnstarted()
	}
	e.workers = nil
	select {
	case <-e.done:
	default:
		close(e.done)
	}
}

// Done is closed when the engine has stopped and holds nothing any more.
func (e *Engine) Done() <-chan struct{} { return e.done }

// Sessions is the number of client connections that are open.
func (e *Engine) Sessions() int64 { return e.live.Load() }

// resumeListeners lets every loop accept again after a place has come free.
func (e *Engine) resumeListeners() {
	for _, w := range e.workers {
		if w.waking.CompareAndSwap(false, true) {
			w.loop.Post(func() {
				w.waking.Store(false)
				w.resume()
			})
		}
	}
}
