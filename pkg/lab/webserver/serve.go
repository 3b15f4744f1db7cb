package webserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Version is the HTTP version that a server speaks.
type Version int

const (
	// HTTP11 is HTTP/1.1 as net/http speaks it.
	HTTP11 Version = iota
	// HTTP10 answers one request a connection with an HTTP/1.0 status line, writes no Content-Length of its
	// own accord, and ends the body by closing, as Python's BaseHTTPRequestHandler does.
	HTTP10
)

// Server serves Handler(name).
type Server interface {
	// Serve accepts connections until Shutdown, and then returns http.ErrServerClosed.
	Serve(net.Listener) error
	// Shutdown closes the listener and waits until requests under way have been answered, or ctx ends.
	Shutdown(context.Context) error
}

// New returns a server that is not serving yet.
func New(name string, v Version) Server {
	if v == HTTP10 {
		return &server10{handler: Handler(name)}
	}
	return &http.Server{
		Handler:           Handler(name),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0),
	}
}

// server10 speaks HTTP/1.0.
type server10 struct {
	handler http.Handler

	mu       sync.Mutex
	listener net.Listener
	stopped  bool
	serving  sync.WaitGroup
}

func (s *server10) Serve(ln net.Listener) error {
	s.mu.Lock()
	s.listener = ln
	stopped := s.stopped
	s.mu.Unlock()
	if stopped {
		_ = ln.Close()
	}
	for {
		conn, err := ln.Accept()
		if err != nil {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.stopped {
				return http.ErrServerClosed
			}
			return fmt.Errorf("accept: %w", err)
		}
		s.serving.Go(func() { s.serveConn(conn) })
	}
}

func (s *server10) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	if s.listener != nil {
		_ = s.listener.Close()
	}
	s.mu.Unlock()
	idle := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(idle)
	}()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *server10) serveConn(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(time.Minute)) // for the head
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	w := &writer10{out: bufio.NewWriter(conn), header: make(http.Header), bodyless: r.Method == http.MethodHead}
	s.handler.ServeHTTP(w, r)
	w.WriteHeader(http.StatusOK)
	_ = w.out.Flush()
}

// writer10 is an http.ResponseWriter of HTTP/1.0 that adds no header field.
type writer10 struct {
	out      *bufio.Writer
	header   http.Header
	started  bool
	bodyless bool
}

func (w *writer10) Header() http.Header { return w.header }

func (w *writer10) WriteHeader(code int) {
	if w.started {
		return
	}
	w.started = true
	fmt.Fprintf(w.out, "HTTP/1.0 %d %s\r\n", code, http.StatusText(code))
	_ = w.header.Write(w.out)
	_, _ = w.out.WriteString("\r\n")
}

func (w *writer10) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.bodyless {
		return len(p), nil
	}
	return w.out.Write(p)
}

// Flush sends what was written so far.
func (w *writer10) Flush() {
	w.WriteHeader(http.StatusOK)
	_ = w.out.Flush()
}
