package peers

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// asked is a request as a server was sent it.
type asked struct {
	line   string   // the request line
	fields []string // "name: value", names in lower case, sorted
	body   string   // its payload
	tail   []string // the lines of the trailer section
	cut    bool     // the connection ended before the request did
	junk   string   // why it is none
	raw    string
}

func (a asked) String() string {
	if a.junk != "" {
		return fmt.Sprintf("JUNK (%s) %q", a.junk, a.raw)
	}
	s := fmt.Sprintf("%q %q body %q tail %q", a.line, a.fields, a.body, a.tail)
	if a.cut {
		s += " CUT"
	}
	return s
}

// differs says in what, beyond which parts of a request that was broken off had been sent, a server could tell a from b.
func (a asked) differs(b asked) string {
	switch {
	case a.junk != "":
		return "junk"
	case a.line != b.line:
		return "another request line"
	case !slices.Equal(a.lasting(), b.lasting()):
		return "other fields"
	case b.cut && !a.cut:
		return "ends where HAProxy breaks off"
	case a.cut:
		if !strings.HasPrefix(b.body, a.body) && !strings.HasPrefix(a.body, b.body) {
			return "another body"
		}
		return ""
	case a.body != b.body:
		return "another body"
	case !slices.Equal(a.tail, b.tail):
		return "other trailers"
	}
	return ""
}

// lasting are the fields that do not concern the connection alone: those each proxy writes as it likes.
func (a asked) lasting() (all []string) {
	for _, f := range a.fields {
		switch name, _, _ := strings.Cut(f, ":"); name {
		case "connection", "keep-alive", "proxy-connection", "te", "http2-settings", "upgrade":
		default:
			all = append(all, f)
		}
	}
	return all
}

// recorder is a server that takes PROXY lines, answers each request with 200, and writes down what it was sent. It reads as
// strictly as can be: what it does not understand is junk, since another server might.
type recorder struct {
	addr string

	mu    sync.Mutex
	by    map[int][]asked // by the port of the client, in the order in which they began
	alive map[int]int     // connections of that client
	ended *sync.Cond
}

func record(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{by: map[int][]asked{}, alive: map[int]int{}}
	r.ended = sync.NewCond(&r.mu)
	r.addr = serve(t, r.serve)
	return r
}

// serve has do serve each connection to an address, until the test ends.
func serve(t *testing.T, do func(net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { do(c) })
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return l.Addr().String()
}

// forget is for a client that is new: what another one with its port has sent may have come after that one has been asked about.
func (r *recorder) forget(port int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.by, port)
}

// of waits until the connections of a client have ended, and gives what they carried.
func (r *recorder) of(port int) []asked {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.alive[port] > 0 {
		r.ended.Wait()
	}
	defer delete(r.by, port) // it will be another's
	return r.by[port]
}

func (r *recorder) serve(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(c)
	line, err := in.ReadString('\n')
	if err != nil {
		return // a health check, or a connection that was given up
	}
	fields := strings.Fields(line)
	if len(fields) != 6 || fields[0] != "PROXY" {
		return
	}
	port, _ := strconv.Atoi(fields[4])
	r.mu.Lock()
	r.alive[port]++
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.alive[port]--
		r.ended.Broadcast()
		r.mu.Unlock()
	}()
	for {
		at, more := r.begin(port, in)
		if !more {
			return
		}
		a := read(in, func(string, []string) bodyEnd { return asFields })
		r.mu.Lock()
		r.by[port][at] = a
		r.mu.Unlock()
		if a.junk != "" || a.cut {
			_, _ = io.Copy(io.Discard, in)
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
}

// begin keeps a place for the request whose first byte has come.
func (r *recorder) begin(port int, in *bufio.Reader) (at int, more bool) {
	if _, err := in.Peek(1); err != nil {
		return 0, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.by[port] = append(r.by[port], asked{cut: true})
	return len(r.by[port]) - 1, true
}

// bodyEnd is where the body of a message ends whose fields do not say it.
type bodyEnd int

const (
	noBody   bodyEnd = iota // nor does one whose fields do
	asFields                // there is none
	byClosing
)

// read reads one message; end says of one with that first line and those fields how its body ends.
func read(in *bufio.Reader, end func(line string, fields []string) bodyEnd) (a asked) {
	var raw bytes.Buffer
	defer func() { a.raw = raw.String() }()
	line := func() (string, bool) {
		s, err := in.ReadString('\n')
		raw.WriteString(s)
		switch {
		case err != nil:
			a.cut = true
			return "", false
		case !strings.HasSuffix(s, "\r\n") || strings.Count(s, "\r") > 1:
			a.junk = fmt.Sprintf("line %q", s)
			return "", false
		}
		return s[:len(s)-2], true
	}
	fields := func() (all []string, ok bool) {
		for {
			s, ok := line()
			if !ok || s == "" {
				return all, ok
			}
			name, value, found := strings.Cut(s, ":")
			if !found || name == "" || strings.ContainsAny(name, " \t\x00\x0b") || strings.ContainsAny(value, "\x00") {
				a.junk = fmt.Sprintf("field %q", s)
				return nil, false
			}
			all = append(all, strings.ToLower(name)+": "+strings.Trim(value, " \t"))
		}
	}
	payload := func(n int64) bool {
		part, err := io.ReadAll(io.LimitReader(in, n))
		raw.Write(part)
		a.body += string(part)
		a.cut = a.cut || err != nil || int64(len(part)) < n
		return !a.cut
	}
	var ok bool
	if a.line, ok = line(); !ok {
		return a
	}
	if a.fields, ok = fields(); !ok {
		return a
	}
	slices.Sort(a.fields)
	length, chunked := int64(-1), false
	for _, f := range a.fields {
		name, value, _ := strings.Cut(f, ": ")
		switch name {
		case "content-length":
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil {
				a.junk = f
				return a
			}
			length = int64(n)
		case "transfer-encoding":
			if chunked || value != "chunked" && !strings.EqualFold(value, "chunked") {
				a.junk = f
				return a
			}
			chunked = true
		}
	}
	switch e := end(a.line, a.fields); {
	case e == noBody:
		return a
	case chunked:
	case length >= 0:
		payload(length)
		return a
	case e == byClosing:
		payload(math.MaxInt64)
		a.cut = false
		return a
	default:
		return a
	}
	for {
		s, ok := line()
		if !ok {
			return a
		}
		size, _, _ := strings.Cut(s, ";")
		n, err := strconv.ParseUint(strings.TrimRight(size, " \t"), 16, 63)
		if err != nil {
			a.junk = fmt.Sprintf("chunk %q", s)
			return a
		}
		if n == 0 {
			a.tail, _ = fields()
			return a
		}
		if !payload(int64(n)) {
			return a
		}
		if s, ok := line(); !ok || s != "" {
			if ok {
				a.junk = "behind a chunk: " + s
			}
			return a
		}
	}
}
