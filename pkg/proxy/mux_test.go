package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"waggle/pkg/config"
	"waggle/pkg/lab/require"
	"waggle/pkg/proxy/h2"
)

// answer is what came of a stream.
type answer struct {
	fields  []hpack.HeaderField // of all blocks
	body    []byte
	reset   http2.ErrCode
	away    http2.ErrCode
	ended   bool // by END_STREAM
	wasAway bool
}

func (a answer) String() string {
	var b strings.Builder
	for _, f := range a.fields {
		fmt.Fprintf(&b, "%s=%s ", f.Name, f.Value)
	}
	fmt.Fprintf(&b, "body=%.40q ended=%v", a.body, a.ended)
	if !a.ended {
		fmt.Fprintf(&b, " reset=%v", a.reset)
	}
	return b.String()
}

// answer reads until a stream or the connection ends, and opens windows as it reads.
func (e *enemy) answer(id uint32) (a answer) {
	e.t.Helper()
	if e.dec == nil {
		e.dec = hpack.NewDecoder(4096, nil)
	}
	for {
		f, err := e.ReadFrame()
		if err != nil {
			return a
		}
		ends := f.Header().Flags.Has(http2.FlagDataEndStream) && f.Header().StreamID == id
		switch f := f.(type) {
		case *http2.HeadersFrame:
			block := bytes.Clone(f.HeaderBlockFragment())
			for ended := f.HeadersEnded(); !ended; {
				next, err := e.ReadFrame()
				e.ok(err)
				more := next.(*http2.ContinuationFrame)
				block = append(block, more.HeaderBlockFragment()...)
				ended = more.HeadersEnded()
			}
			fields, err := e.dec.DecodeFull(block)
			e.ok(err)
			if f.StreamID == id {
				a.fields = append(a.fields, fields...)
			}
			a.ended = a.ended || ends
		case *http2.DataFrame:
			if f.StreamID == id {
				a.body = append(a.body, f.Data()...)
				a.ended = a.ended || ends
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				a.reset = f.ErrCode
				return a
			}
		case *http2.GoAwayFrame:
			a.away, a.wasAway = f.ErrCode, true
			return a
		}
		if a.ended {
			return a
		}
	}
}

// The same requests, however they are cut into frames and pieces: the server sees one and the same.
func TestH2FramesAreJoined(t *testing.T) {
	w := hostile(t, witness(t))
	fields := []string{":method", "POST", ":scheme", "http", ":authority", "site.test", ":path", "/p?q=1", "x-long", strings.Repeat("v", 300)}
	body := pattern(3000)
	for _, pad := range []int{-1, 0, 7, 255} {
		for _, priority := range []bool{false, true} {
			for _, cut := range []int{1, 3, 100, 1 << 20} {
				e := w.enemy()
				if cut == 3 { // and bytes come by a few
					e.out = bufio.NewWriterSize(bits{e.conn, 13}, 13)
					e.Framer = http2.NewFramer(e.out, e.in)
				}
				block := e.block(fields...)
				head := http2.HeadersFrameParam{StreamID: 1}
				if pad > 0 {
					head.PadLength = uint8(pad)
				}
				if priority {
					head.Priority = http2.PriorityParam{StreamDep: 0, Weight: 5}
				}
				n := min(cut, len(block))
				head.BlockFragment, head.EndHeaders = block[:n], n == len(block)
				e.ok(e.WriteHeaders(head))
				for rest := block[n:]; len(rest) > 0; rest = rest[n:] {
					n = min(cut, len(rest))
					e.ok(e.WriteContinuation(1, n == len(rest), rest[:n]))
				}
				for rest := body; len(rest) > 0; rest = rest[n:] {
					n = min(max(cut, 11), len(rest))
					if pad < 0 {
						e.ok(e.WriteData(1, n == len(rest), rest[:n]))
					} else {
						e.ok(e.WriteDataPadded(1, n == len(rest), rest[:n], make([]byte, pad)))
					}
				}
				e.flush()
				a := e.answer(1)
				if !a.ended || !bytes.Equal(a.body, body) || !slices.Contains(a.fields, hpack.HeaderField{Name: "x-seen", Value: "POST /p?q=1 site.test HTTP/1.1"}) {
					t.Errorf("padding %d, priority %v, pieces of %d: %v", pad, priority, cut, a)
				}
				e.conn.Close()
			}
		}
	}
	w.alone()
}

// bits writes so many bytes at a time, each as a packet of its own.
type bits struct {
	conn *net.TCPConn
	n    int
}

func (b bits) Write(p []byte) (int, error) {
	_ = b.conn.SetNoDelay(true)
	for part := range slices.Chunk(p, b.n) {
		if _, err := b.conn.Write(part); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// raw writes a frame as it is said.
func (e *enemy) raw(kind, flags uint8, stream uint32, payload []byte) {
	e.t.Helper()
	b := h2.Frame{Length: len(payload), Type: h2.Type(kind), Flags: h2.Flags(flags), Stream: stream}.Append(nil)
	_, err := e.out.Write(append(b, payload...))
	e.ok(err)
}

func (e *enemy) settle() { e.t.Helper(); e.ok(e.WriteSettings()) }

// Responses in every framing of HTTP/1 end as streams do, and what is cut does not look whole.
func TestH2Responses(t *testing.T) {
	for _, tc := range []struct {
		name, method, server string
		want                 string
	}{
		{"a length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", ":status=200 content-length=5 body=\"hello\" ended=true"},
		{"no body", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ":status=200 content-length=0 body=\"\" ended=true"},
		{"HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", ":status=200 content-length=5 body=\"\" ended=true"},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", ":status=204 body=\"\" ended=true"},
		{"304", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nEtag: x\r\n\r\n", ":status=304 content-length=5 etag=x body=\"\" ended=true"},
		{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", ":status=200 body=\"hello\" ended=true"},
		{"no chunk", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ":status=200 body=\"\" ended=true"},
		{"a trailer section", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n", ":status=200 trailer=X-Sum x-sum=7 body=\"hello\" ended=true"},
		{"until close", "GET", "HTTP/1.1 200 OK\r\n\r\nhello", ":status=200 body=\"hello\" ended=true"},
		{"of HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nKeep-Alive: 5\r\n\r\nhello", ":status=200 body=\"hello\" ended=true"},
		{"interim ones first", "GET", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", ":status=103 link=x :status=200 content-length=2 body=\"ok\" ended=true"},
		{"names in capitals, and what belongs to a connection", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-ODD: Yes\r\nConnection: close, x\r\nUpgrade: h2c\r\n\r\nok", ":status=200 content-length=2 x-odd=Yes body=\"ok\" ended=true"},
		{"a length that is not reached", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", ":status=200 content-length=9 body=\"hello\" ended=false reset=INTERNAL_ERROR"},
		{"chunks without end", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", ":status=200 body=\"hello\" ended=false reset=INTERNAL_ERROR"},
		{"a chunk that is none", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nz\r\n", ":status=200 body=\"hello\" ended=false reset=INTERNAL_ERROR"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := hostile(t, scripted(t, tc.server), func(_ *Setup, _, be *config.Proxy) { be.Retries = 0 })
			e := w.enemy()
			id := e.open(true, ":method", tc.method, ":scheme", "http", ":authority", "a", ":path", "/")
			e.flush()
			if got := e.answer(id).String(); got != tc.want {
				t.Errorf("%s\nwant %s", got, tc.want)
			}
			e.conn.Close()
			w.alone()
		})
	}
}

// The end of a body in chunks passes a window that is closed by what came before it.
func TestH2EndsWithoutWindow(t *testing.T) {
	for _, trailer := range []string{"", "X-Sum: 7\r\n"} {
		w := hostile(t, scripted(t, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n"+trailer+"\r\n"))
		e := w.enemy(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 5})
		id := e.open(true)
		e.flush()
		if a := e.answer(id); !a.ended || string(a.body) != "hello" {
			t.Errorf("trailer %q: %v", trailer, a)
		}
		e.conn.Close()
	}
}

// A stream that is reset while its response is on the way frees its server, and others go on.
func TestH2ClientResets(t *testing.T) {
	g := newGate(t)
	w := hostile(t, g.addr)
	e := w.enemy()
	first, second := e.open(true), e.open(true)
	e.flush()
	g.next(t)
	g.next(t)
	e.ok(e.WriteRSTStream(first, http2.ErrCodeCancel))
	e.flush()
	eventually(t, "the first is given up", func() bool { return w.pool.Backends[0].Sessions.Load() == 1 })
	close(g.answer)
	if a := e.answer(second); !a.ended {
		t.Errorf("the second: %v", a)
	}
	if n := w.pool.Frontends[0].Counters.Sum().ClientAborts; n != 1 {
		t.Errorf("%d clients that broke off", n)
	}
	e.conn.Close()
	w.alone()
}

// TestH2AllocatesNothing for a request on a connection that is kept.
func TestH2AllocatesNothing(t *testing.T) {
	require.NoRace(t, "it counts allocations")
	w := hostile(t, silentServer(t))
	e := w.enemy()
	block := bytes.Clone(e.block())
	in := make([]byte, 16<<10)
	id := uint32(1)
	frame := make([]byte, 0, 1024)
	ask := func(n int) {
		for range n {
			frame = h2.Frame{Length: len(block), Type: h2.Headers, Flags: h2.EndHeaders | h2.EndStream, Stream: id}.Append(frame[:0])
			if _, err := e.conn.Write(append(frame, block...)); err != nil {
				t.Fatal(err)
			}
			for got := 0; ; {
				n, err := e.conn.Read(in[got:])
				if err != nil {
					t.Fatal(err)
				}
				if got += n; bytes.HasSuffix(in[:got], []byte("ok")) {
					break
				}
			}
			id += 2
		}
	}
	ask(1)
	block = bytes.Clone(e.block()) // with what the connection remembers
	ask(300)
	allocateNothing(t, 2000, ask)
}
