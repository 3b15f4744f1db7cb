package adapter

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"waggle/pkg/proxy/h1"
	"waggle/pkg/proxy/sock"
)

// h2conn is a client's HTTP/2 connection. Framing, flow control, the compression of fields and the limits against
// floods are http2.Server's: as many handlers as MaxConcurrentStreams and four times as many streams that wait for one,
// a bounded list of fields with its CONTINUATION frames, and a bounded queue of frames that answer SETTINGS and PING.
// A guard slows down clients that send frames which carry nothing.
type h2conn struct {
	f    *Front
	info Info
	door Door

	mu     sync.Mutex
	idle   []*channel // kept by the loop for another request
	closed bool
}

func (f *Front) serveH2(conn net.Conn, info Info, door Door) {
	h := &h2conn{f: f, info: info, door: door}
	defer h.close()
	f.h2.ServeConn(guarded(conn), &http2.ServeConnOpts{BaseConfig: f.h1, Handler: h})
}

// close ends the channels that are idle. Those in use end with their handlers, whose contexts have been cancelled.
func (h *h2conn) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for _, c := range h.idle {
		_ = c.end.Close()
	}
	h.idle = nil
}

// channel is a connection to the loop that carries one request after the other.
type channel struct {
	end    *Conn
	pair   *Pair
	in     *bufio.Reader
	reused bool

	mu   sync.Mutex
	busy *exchange // nil while it is idle
}

var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

// open gives a channel: with reuse one that is idle, if there is one.
func (h *h2conn) open(reuse bool) (*channel, error) {
	if c := h.takeIdle(reuse); c != nil {
		return c, nil
	}
	p, end, fd, err := newPair(h.info)
	if err != nil {
		return nil, err
	}
	c := &channel{end: end, pair: p, in: readers.Get().(*bufio.Reader)}
	c.in.Reset(end)
	p.closing = func() { h.loopClosed(c) }
	if !h.door.Attach(fd, p) {
		sock.Close(fd)
		c.drop()
		return nil, errors.New("the event loop has stopped")
	}
	return c, nil
}

func (h *h2conn) takeIdle(reuse bool) *channel {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.idle)
	if n == 0 || !reuse {
		return nil
	}
	c := h.idle[n-1]
	h.idle = h.idle[:n-1]
	c.reused = true
	return c
}

// keep makes a channel idle.
func (h *h2conn) keep(c *channel) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed || c.pair.closed.Load() {
		c.drop()
		return
	}
	h.idle = append(h.idle, c)
}

// loopClosed is called by the loop when it closes its end: an idle channel goes, and one in use gets its last bytes
// delivered in bounded time.
func (h *h2conn) loopClosed(c *channel) {
	c.mu.Lock()
	x := c.busy
	if x != nil {
		x.expire = time.AfterFunc(h.f.patience(), x.giveUp)
	}
	c.mu.Unlock()
	if x != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, other := range h.idle {
		if other == c {
			h.idle = append(h.idle[:i], h.idle[i+1:]...)
			_ = c.end.Close()
			return
		}
	}
}

func (c *channel) drop() {
	_ = c.end.Close()
	if c.in != nil {
		c.in.Reset(nil)
		readers.Put(c.in)
		c.in = nil
	}
}

// cancel ends a channel whose client is gone.
func (c *channel) cancel() {
	c.pair.reset.Store(true)
	_ = c.end.Close()
}

// exchange is a request and its response on a channel.
type exchange struct {
	w      http.ResponseWriter
	r      *http.Request
	c      *channel
	before uint32      // requests that the loop had begun with
	expire *time.Timer // guarded by c.mu

	mu   sync.Mutex
	over bool // w must not be used any more
}

// giveUp breaks a write that waits for the client's window.
func (x *exchange) giveUp() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.over {
		_ = http.NewResponseController(x.w).SetWriteDeadline(time.Unix(1, 0))
	}
}

// ServeHTTP implements http.Handler: one stream.
func (h *h2conn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head, ok := requestHead(r)
	if !ok {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	// A kept channel may be closed by the loop at this moment, so only what can be sent again goes over one. The loop takes
	// it for one more request of a client who must expect that it fails, so what must not be repeated does not either.
	reuse := !hasBody(r) && h1.MethodOf([]byte(r.Method)).Idempotent()
	for {
		c, err := h.open(reuse)
		if err != nil {
			h.f.s.Logger.Warn("cannot serve a stream", "client", h.info.Src, "error", err)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		switch h.exchange(w, r, c, head) {
		case repeat:
			reuse = false
		case failed:
			panic(http.ErrAbortHandler) // RST_STREAM
		default:
			return
		}
	}
}

// outcome of an exchange.
type outcome uint8

const (
	done   outcome = iota
	repeat         // the kept channel was closed before the loop began with the request
	failed
)

func (h *h2conn) exchange(w http.ResponseWriter, r *http.Request, c *channel, head []byte) outcome {
	x := &exchange{w: w, r: r, c: c, before: c.pair.begun.Load()}
	c.mu.Lock()
	c.busy = x
	c.mu.Unlock()
	stop := context.AfterFunc(r.Context(), c.cancel)
	sent := x.send(head)
	result, keep := x.receive()
	keep = x.finish(sent, keep) && stop()
	if keep && result == done {
		h.keep(c)
	} else {
		c.drop()
	}
	return result
}

// send writes the request, its body by a goroutine that ends before the exchange does. The channel says whether all
// of it was written.
func (x *exchange) send(head []byte) <-chan bool {
	sent := make(chan bool, 1)
	if _, err := x.c.end.Write(head); err != nil || !hasBody(x.r) {
		sent <- err == nil
		return sent
	}
	go func() {
		err := sendBody(x.c.end, x.r)
		var lost *clientError
		if errors.As(err, &lost) { // the loop must see that something is missing
			x.c.cancel()
		}
		sent <- err == nil
	}()
	return sent
}

// finish waits for everything that works on the exchange. It reports whether the channel may serve again.
func (x *exchange) finish(sent <-chan bool, keep bool) bool {
	all := false
	select {
	case all = <-sent:
	default: // the response has overtaken the request
		if x.r.Body != nil {
			_ = x.r.Body.Close()
		}
		_ = x.c.end.SetWriteDeadline(time.Unix(1, 0))
		<-sent
	}
	x.mu.Lock()
	x.over = true
	x.mu.Unlock()
	x.c.mu.Lock()
	x.c.busy = nil
	if x.expire != nil {
		x.expire.Stop()
	}
	x.c.mu.Unlock()
	return keep && all
}

// receive passes the response on.
func (x *exchange) receive() (result outcome, keep bool) {
	for {
		if _, err := x.c.in.Peek(1); err != nil {
			if x.c.reused && x.c.pair.begun.Load() == x.before && x.r.Context().Err() == nil {
				return repeat, false
			}
			return failed, false
		}
		resp, err := http.ReadResponse(x.c.in, x.r) //nolint:bodyclose // it is read from a connection of ours, which outlives it
		if err != nil {
			return failed, false
		}
		if resp.StatusCode >= 200 {
			return x.respond(resp)
		}
		x.inform(resp)
	}
}

// inform passes an interim response on. 100 answers an expectation, which http2.Server has met by itself.
func (x *exchange) inform(resp *http.Response) {
	if resp.StatusCode <= 101 {
		return
	}
	to := x.w.Header()
	copyFields(to, resp.Header)
	x.w.WriteHeader(resp.StatusCode)
	clear(to)
}

func (x *exchange) respond(resp *http.Response) (outcome, bool) {
	to := x.w.Header()
	copyFields(to, resp.Header)
	for _, name := range []string{"Date", "Content-Type"} { // else http2.Server makes them up
		if _, ok := to[name]; !ok {
			to[name] = nil
		}
	}
	x.w.WriteHeader(resp.StatusCode)
	if err := x.copyBody(resp.Body, resp.ContentLength); err != nil || x.c.pair.aborted.Load() {
		return failed, false
	}
	for name, values := range resp.Trailer {
		to[http.TrailerPrefix+name] = values
	}
	return done, !resp.Close && x.c.in.Buffered() == 0
}

// copyBody passes a body on, and does not hold back what has come while more is waited for. The last bytes of one whose
// length is known, -1 if it is not, are left to the end of the stream, which then need not be told by a frame of its own.
func (x *exchange) copyBody(body io.Reader, length int64) error {
	if length == 0 {
		return nil
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	flush := http.NewResponseController(x.w).Flush
	for got := int64(0); ; {
		n, err := body.Read(buf[:])
		if n > 0 {
			got += int64(n)
			if _, err := x.w.Write(buf[:n]); err != nil {
				return err
			}
			if err == nil && got != length && x.c.in.Buffered() == 0 {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

func copyFields(to, from http.Header) {
	for name, values := range from {
		if !isHopByHop(name) {
			to[name] = values
		}
	}
}
