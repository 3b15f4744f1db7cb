package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	closeTime = 2 * time.Second        // how long a task that drains waits for requests in flight in the end
	workTime  = 200 * time.Millisecond // what a request for /work takes
	idleTime  = 60 * time.Second       // how long a connection may be silent
	lineLimit = 4096                   // longest line, in bytes
)

// service is the two listeners of a task.
type service struct {
	host   string
	record *record
	http   http.Server
	lines  net.Listener
	failed chan error

	mu    sync.Mutex
	conns map[net.Conn]bool // of the line listener
}

func newService(host string) *service {
	s := &service{host: host, record: newRecord(host), failed: make(chan error, 2), conns: make(map[net.Conn]bool)}
	s.http = http.Server{Handler: s, ReadHeaderTimeout: idleTime, IdleTimeout: idleTime}
	return s
}

func (s *service) listen() error {
	web, err := net.Listen("tcp", httpAddr)
	if err != nil {
		return err
	}
	if s.lines, err = net.Listen("tcp", lineAddr); err != nil {
		return errors.Join(err, web.Close())
	}
	go func() {
		if err := s.http.Serve(s.record.watch(web)); !errors.Is(err, http.ErrServerClosed) {
			s.failed <- err
		}
	}()
	go s.serveLines(s.record.watch(s.lines))
	return nil
}

// ServeHTTP implements [http.Handler].
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.record.request(r.RemoteAddr)
	if r.URL.Path == "/work" {
		time.Sleep(workTime)
	}
	fmt.Fprintf(w, "hostname: %s", s.host)
}

func (s *service) serveLines(l net.Listener) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.failed <- err
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		s.mu.Unlock()
		go s.answerLines(conn)
	}
}

func (s *service) answerLines(conn net.Conn) {
	defer func() {
		conn.Close()
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
	}()
	for r := bufio.NewReaderSize(conn, lineLimit); ; {
		_ = conn.SetDeadline(time.Now().Add(idleTime))
		if _, err := r.ReadSlice('\n'); err != nil {
			return
		}
		if _, err := io.WriteString(conn, "hostname: "+s.host+"\n"); err != nil {
			return
		}
	}
}

// drain serves on for a while, in which answers ask clients to close, and ends what is left.
func (s *service) drain(d time.Duration) {
	s.http.SetKeepAlivesEnabled(false)
	time.Sleep(d)
	s.lines.Close()
	s.mu.Lock()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	_ = s.http.Shutdown(ctx) // what is not done by then ends with the process
}
