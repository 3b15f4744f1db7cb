package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"waggle/pkg/config"
)

// enemy is a client that speaks HTTP/2 frame by frame, and as it likes.
type enemy struct {
	*http2.Framer
	t    *testing.T
	conn *net.TCPConn
	out  *bufio.Writer
	in   *bufio.Reader
	enc  *hpack.Encoder
	dec  *hpack.Decoder
	buf  bytes.Buffer
	next uint32 // the next stream
}

// hostile is a world in clear text whose clients speak HTTP/2.
func hostile(t *testing.T, server netip.AddrPort, opts ...option) *world {
	t.Helper()
	h2 := func(_ *Setup, fe, _ *config.Proxy) { fe.Binds[0].Proto = "h2" }
	return start(t, []netip.AddrPort{server}, append([]option{h2}, opts...)...)
}

// enemy connects, and says hello with the settings.
func (w *world) enemy(settings ...http2.Setting) *enemy {
	w.t.Helper()
	c := w.dial()
	e := &enemy{t: w.t, conn: c.TCPConn, in: c.r, out: bufio.NewWriterSize(c.TCPConn, 64<<10), next: 1}
	e.Framer = http2.NewFramer(e.out, c.r)
	e.SetMaxReadFrameSize(1 << 20)
	e.enc = hpack.NewEncoder(&e.buf)
	io.WriteString(e.out, http2.ClientPreface)
	e.ok(e.WriteSettings(settings...))
	e.flush()
	return e
}

func (e *enemy) ok(err error) {
	e.t.Helper()
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *enemy) flush() {
	e.t.Helper()
	e.ok(e.out.Flush())
}

// block encodes fields; those of a GET of / by default.
func (e *enemy) block(fields ...string) []byte {
	if len(fields) == 0 {
		fields = []string{":method", "GET", ":scheme", "http", ":authority", "site.test", ":path", "/"}
	}
	e.buf.Reset()
	for i := 0; i < len(fields); i += 2 {
		e.ok(e.enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	return bytes.Clone(e.buf.Bytes())
}

// open begins a stream whose head is whole.
func (e *enemy) open(ends bool, fields ...string) uint32 {
	e.t.Helper()
	id := e.next
	e.next += 2
	e.ok(e.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: e.block(fields...), EndHeaders: true, EndStream: ends}))
	return id
}

// ending reads until the connection ends, and gives the code of GOAWAY. told is closed when that comes, or the end.
func (e *enemy) ending(told chan struct{}) (code http2.ErrCode) {
	var once sync.Once
	tell := func() { once.Do(func() { close(told) }) }
	defer tell()
	for {
		f, err := e.ReadFrame()
		if err != nil {
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				e.t.Error("the connection has not ended")
			}
			return code
		}
		if away, ok := f.(*http2.GoAwayFrame); ok {
			code = away.ErrCode
			tell()
		}
	}
}

// resetOf reads until a stream is reset, and gives the code.
func (e *enemy) resetOf(id uint32) http2.ErrCode {
	e.t.Helper()
	for {
		f, err := e.ReadFrame()
		e.ok(err)
		if r, ok := f.(*http2.RSTStreamFrame); ok && r.StreamID == id {
			return r.ErrCode
		}
		if away, ok := f.(*http2.GoAwayFrame); ok {
			e.t.Fatalf("the connection ends with %v, and not only stream %d", away.ErrCode, id)
		}
	}
}

// flood writes by f until that fails, at most limit bytes, and gives how many it could. It ends early when stop is
// closed.
func (e *enemy) flood(limit int, stop <-chan struct{}, f func() error) int {
	sum := &tally{w: e.conn}
	e.out.Reset(sum)
	for sum.n < limit {
		select {
		case <-stop:
			return sum.n
		default:
		}
		if err := f(); err != nil {
			return sum.n
		}
	}
	_ = e.out.Flush()
	return sum.n
}

// tally counts what is written.
type tally struct {
	w io.Writer
	n int
}

func (t *tally) Write(b []byte) (int, error) {
	n, err := t.w.Write(b)
	t.n += n
	return n, err
}

// modest is what a hostile client may make us hold: room for what the test itself holds, and a small part of what it
// would be without the limits (100 MB and more).
const modest = 32 << 20

// heap is what is in use after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// growth watches how much more than now is in use at most, and how many goroutines more there are, until it is asked.
func growth() (most func() (bytes int64, routines int)) {
	before, routinesBefore := heap(), runtime.NumGoroutine()
	var bytes int64
	var routines int
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			bytes = max(bytes, heap()-before)
			routines = max(routines, runtime.NumGoroutine()-routinesBefore)
			select {
			case <-quit:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return func() (int64, int) {
		close(quit)
		<-done
		return bytes, routines
	}
}

// served checks that another client is served, which leaves then.
func (w *world) served() {
	w.t.Helper()
	c := w.browser(nil, true)
	defer c.CloseIdleConnections()
	resp, _ := w.exchange(c, request(w.t, "GET", "http://site.test/", nil))
	if resp.StatusCode != 200 {
		w.t.Errorf("another client got %s", resp.Status)
	}
}

// alone checks that nothing is left of a client that is gone.
func (w *world) alone() {
	w.t.Helper()
	eventually(w.t, "the connection's place is free", func() bool { return w.pool.Frontends[0].Sessions.Load() == 0 })
	eventually(w.t, "the servers' are", func() bool { return w.pool.Backends[0].Sessions.Load() == 0 })
}

// status reads until a stream has a response.
func (e *enemy) status(id uint32) string {
	e.t.Helper()
	e.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	defer func() { e.ReadMetaHeaders = nil }()
	for {
		f, err := e.ReadFrame()
		e.ok(err)
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			if f.StreamID == id {
				return f.PseudoValue("status")
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return f.ErrCode.String()
			}
		case *http2.GoAwayFrame:
			return f.ErrCode.String()
		}
	}
}

// count reads frames until the connection ends, and gives how many they were.
func (e *enemy) count() (n int) {
	for {
		if _, err := e.ReadFrame(); err != nil {
			return n
		}
		n++
	}
}
