package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waggle/pkg/lab"
)

// countedServer is a server in a task's namespace that counts what reaches it. It runs in the test's own process, so that what
// it has seen is at hand.
type countedServer struct {
	name string
	addr string

	conns, requests atomic.Int64
	in, out         atomic.Int64 // bytes

	mu   sync.Mutex
	open map[net.Conn]bool
}

// serveCounted listens at a port of a host until the test ends.
func serveCounted(t *testing.T, h *lab.Host, port int, name string, serve func(*countedServer, net.Conn)) *countedServer {
	t.Helper()
	s := &countedServer{name: name, addr: fmt.Sprintf("%s:%d", h.Addr(), port), open: map[net.Conn]bool{}}
	ln, err := h.Listen("tcp4", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			s.note(c, true)
			all.Go(func() {
				defer s.note(c, false)
				defer c.Close()
				serve(s, &countedConn{Conn: c, in: &s.in, out: &s.out})
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		s.mu.Lock()
		for c := range s.open {
			c.Close()
		}
		s.mu.Unlock()
		all.Wait()
	})
	return s
}

func (s *countedServer) note(c net.Conn, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open {
		s.open[c] = true
	} else {
		delete(s.open, c)
	}
}

// countedConn counts the bytes of a connection.
type countedConn struct {
	net.Conn
	in, out *atomic.Int64
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.out.Add(int64(n))
	return n, err
}

// reset ends the connection by RST.
func (c *countedConn) reset() {
	_ = c.Conn.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// serveWeb answers requests by their path:
//
//	/status/CODE  an answer of that status
//	/bytes/N      N bytes
//	/chunks/N     N bytes in chunks of 1000
//	/slow/MS      an answer after MS milliseconds
//	/secret       an answer that a rule withholds
//	/cut          half of the body that is announced, then FIN
//	/mute         FIN without an answer
//	/junk         what is no answer
//	/never        nothing until the balancer closes
func serveWeb(s *countedServer, c net.Conn) {
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		s.requests.Add(1)
		if !s.answer(c, in, r) {
			return
		}
	}
}

// answer writes one response and says whether the connection goes on.
func (s *countedServer) answer(c net.Conn, in io.Reader, r *http.Request) bool {
	action, argument, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	n, _ := strconv.Atoi(argument)
	switch action {
	case "cut":
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nx-server: %s\r\ncontent-length: 2000\r\n\r\n%s", s.name, strings.Repeat("x", 1000))
		return false
	case "mute":
		return false
	case "junk":
		_, _ = io.WriteString(c, "this is no answer\r\n\r\n")
		return false
	case "never":
		_, _ = io.Copy(io.Discard, in)
		return false
	case "slow":
		time.Sleep(time.Duration(n) * time.Millisecond)
		n = 10
	case "status":
		return s.status(c, n)
	case "secret":
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nx-server: %s\r\nx-secret: 1\r\ncontent-length: 2\r\n\r\nno", s.name)
		return true
	case "chunks":
		return s.chunks(c, n)
	}
	head := fmt.Sprintf("HTTP/1.1 200 OK\r\nx-server: %s\r\ncontent-length: %d\r\n\r\n", s.name, n)
	if r.Method == http.MethodHead {
		n = 0
	}
	_, err := io.WriteString(c, head+strings.Repeat("b", n))
	return err == nil
}

func (s *countedServer) status(c net.Conn, code int) bool {
	body := ""
	fields := ""
	if code != 204 && code != 304 {
		body, fields = "x\n", "content-length: 2\r\n"
	}
	_, err := fmt.Fprintf(c, "HTTP/1.1 %d Whatever\r\nx-server: %s\r\n%s\r\n%s", code, s.name, fields, body)
	return err == nil
}

func (s *countedServer) chunks(c net.Conn, n int) bool {
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nx-server: %s\r\ntransfer-encoding: chunked\r\n\r\n", s.name)
	for ; n > 0; n -= 1000 {
		size := min(n, 1000)
		if _, err := fmt.Fprintf(c, "%x\r\n%s\r\n", size, strings.Repeat("c", size)); err != nil {
			return false
		}
	}
	_, err := io.WriteString(c, "0\r\n\r\n")
	return err == nil
}

// serveRaw obeys one line: how many bytes it is to read after it, how many to send, and how to end (close, reset or wait for
// the client to).
func serveRaw(_ *countedServer, conn net.Conn) {
	c := conn.(*countedConn)
	in := bufio.NewReader(c)
	line, err := in.ReadString('\n')
	if err != nil {
		return
	}
	var up, down int64
	var end string
	if _, err := fmt.Sscan(line, &up, &down, &end); err != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, in, up); err != nil {
		return
	}
	if _, err := io.WriteString(c, strings.Repeat("d", int(down))); err != nil {
		return
	}
	switch end {
	case "reset":
		_, _ = in.ReadByte() // the client has got all that was sent
		c.reset()
	case "wait":
		_, _ = io.Copy(io.Discard, in)
	}
}
