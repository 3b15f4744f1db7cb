package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/sample"
	"waggle/pkg/stats"
	"waggle/pkg/stick"
)

// Options bound what clients may use up. The zero value takes HAProxy's defaults.
type Options struct {
	// MaxClients is the number of clients at once; further ones wait to be accepted. Default 10
	// (`stats maxconn`).
	MaxClients int
	// Idle is how long a client may keep silent, or leave an answer unread. Default 10 s (`stats
	// timeout`).
	Idle time.Duration
	// MaxLine is the length of a line of commands, in bytes. Default 16384 (`tune.bufsize`).
	MaxLine int
	// Sessions lists single connections and ends them; nil: the commands for that say that they cannot.
	Sessions Sessions
	// Tracer answers `trace`; nil: there is no kernel path to ask.
	Tracer Tracer
	// Errors returns how many malformed messages there have been, and the last ones; nil: nobody keeps them.
	Errors func() (total uint64, last []Malformed)
	// Control makes the changes that the pool alone cannot; nil refuses them.
	Control Control
	// Tables lists the stick tables; nil: there are none.
	Tables func() []*stick.Table
	// Patterns are the maps and ACLs; nil: there are none.
	Patterns func() *sample.References
	// Rings lists the rings of log lines; nil: there are none.
	Rings func() []*accesslog.Ring
	// Loops has each event loop tell about itself; nil: there are none.
	Loops func() ([]Loop, error)
	// StartupLogs returns what was said while starting, in lines; nil says that there was nothing.
	StartupLogs func() string
}

const (
	defaultMaxClients = 10
	defaultIdle       = 10 * time.Second
	defaultMaxLine    = 16384
)

// Server answers clients. It is safe for concurrent use.
type Server struct {
	src      stats.Source
	opts     Options
	commands []command
	slots    chan struct{}

	mu        sync.Mutex
	listeners []Listener // that are served
}

// New returns a server that shows src and changes the servers of its pool.
func New(src stats.Source, opts Options) *Server {
	if opts.MaxClients <= 0 {
		opts.MaxClients = defaultMaxClients
	}
	if opts.Idle <= 0 {
		opts.Idle = defaultIdle
	}
	if opts.MaxLine <= 0 {
		opts.MaxLine = defaultMaxLine
	}
	return &Server{src: src, opts: opts, commands: commands(), slots: make(chan struct{}, opts.MaxClients)}
}

// Serve accepts clients on all listeners until parent ends, then closes the listeners and all clients and
// returns nil once they are gone. It returns sooner, with an error, when a listener fails. Serve owns
// the listeners. It may be called several times at once, with different ones.
func (s *Server) Serve(parent context.Context, listeners []Listener) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	s.serving(listeners)
	defer s.served(listeners)

	var all sync.WaitGroup
	for _, l := range listeners {
		all.Go(func() {
			if err := s.accept(ctx, l, &all); err != nil {
				cancel(err)
			}
		})
	}
	<-ctx.Done()
	for _, l := range listeners {
		l.Close()
	}
	all.Wait()
	if parent.Err() != nil {
		return nil
	}
	return context.Cause(ctx) // of a listener
}

func (s *Server) serving(more []Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = slices.Concat(s.listeners, more)
}

func (s *Server) served(gone []Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = slices.DeleteFunc(slices.Clone(s.listeners), func(l Listener) bool { return slices.Contains(gone, l) })
}

// sockets returns the listeners that are served.
func (s *Server) sockets() []Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.listeners
}

// accept serves the clients of one listener until it is closed.
func (s *Server) accept(ctx context.Context, l Listener, all *sync.WaitGroup) error {
	for {
		conn, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case isTemporary(err):
			pause(ctx)
			continue
		case err != nil:
			return fmt.Errorf("accept on stats socket %s: %w", l.Addr(), err)
		}
		select {
		case s.slots <- struct{}{}:
		case <-ctx.Done():
			conn.Close()
			return nil
		}
		all.Go(func() {
			defer func() { <-s.slots }()
			s.serveClient(ctx, conn, l.Level)
		})
	}
}

// serveClient talks to one client until it leaves, is idle for too long, or ctx ends.
func (s *Server) serveClient(ctx context.Context, conn net.Conn, level Level) {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	defer conn.Close()
	c := &session{server: s, ctx: ctx, conn: conn, level: level, idle: s.opts.Idle}
	c.run()
}

// isTemporary says whether accepting may work again by itself: a client that is gone before it was
// accepted, or a lack of files or memory.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// retryAccept is the wait after an accept failed for want of resources.
const retryAccept = 100 * time.Millisecond

func pause(ctx context.Context) {
	t := time.NewTimer(retryAccept)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
