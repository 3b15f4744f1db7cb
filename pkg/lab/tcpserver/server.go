// Package tcpserver is the raw TCP server of the lab's tasks, in one of two protocols.
//
// Command: the client sends one line and gets what it asked for.
//
//	hostname   "hostname: <name>\n", then close
//	bytes N    N bytes of package pattern, then close
//	echo       all that follows, back, until the client's FIN
//	sink       reads until the client's FIN, then "<count> <sha256 in hex>\n" of what followed the line
//
// Greet: the server sends "hostname: <name>\n" first and then echoes until the client's FIN.
package tcpserver

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"

	"waggle/pkg/lab/pattern"
)

// Protocol is one of the two above.
type Protocol int

// The protocols.
const (
	Command Protocol = iota
	Greet
)

// maxLine is the longest command line, with its newline.
const maxLine = 128

// Server is a raw TCP server.
type Server struct {
	name     string
	protocol Protocol

	mu       sync.Mutex
	listener net.Listener
	stopped  bool
	serving  sync.WaitGroup
}

// New returns a server that calls itself name and is not serving yet.
func New(name string, p Protocol) *Server { return &Server{name: name, protocol: p} }

// Serve accepts connections until Shutdown, and then returns net.ErrClosed.
func (s *Server) Serve(ln net.Listener) error {
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
			return fmt.Errorf("accept: %w", err)
		}
		s.serving.Go(func() {
			defer conn.Close()
			_ = s.serve(conn) // the client sees what went wrong, or caused it
		})
	}
}

// Shutdown closes the listener and waits until all connections have ended, or ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
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

func (s *Server) serve(conn net.Conn) error {
	if s.protocol == Greet {
		if err := s.hello(conn); err != nil {
			return err
		}
		_, err := io.Copy(conn, conn)
		return err
	}
	in := bufio.NewReaderSize(conn, maxLine)
	line, err := in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return errors.New("command line too long")
	}
	if err != nil {
		return err
	}
	return s.obey(strings.Fields(string(line)), in, conn)
}

func (s *Server) obey(command []string, in io.Reader, out io.Writer) error {
	switch {
	case len(command) == 1 && command[0] == "hostname":
		return s.hello(out)
	case len(command) == 1 && command[0] == "echo":
		_, err := io.Copy(out, in)
		return err
	case len(command) == 1 && command[0] == "sink":
		sum := sha256.New()
		n, err := io.Copy(sum, in)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%d %x\n", n, sum.Sum(nil))
		return err
	case len(command) == 2 && command[0] == "bytes":
		n, err := strconv.ParseInt(command[1], 10, 64)
		if err != nil {
			break
		}
		_, err = io.Copy(out, pattern.Reader(n))
		return err
	}
	_, err := fmt.Fprintf(out, "error: unknown command %q\n", strings.Join(command, " "))
	return err
}

func (s *Server) hello(out io.Writer) error {
	_, err := fmt.Fprintf(out, "hostname: %s\n", s.name)
	return err
}
