package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

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

// Streams that a client ends in error, and connections.
func TestH2Errors(t *testing.T) {
	post := []string{":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/"}
	for _, tc := range []struct {
		name  string
		say   func(e *enemy)
		reset http2.ErrCode // of stream 1
		away  http2.ErrCode // of the connection, if it ends
		ends  bool
	}{
		{"no SETTINGS first", func(e *enemy) { e.raw(6, 0, 0, make([]byte, 8)) }, 0, http2.ErrCodeProtocol, true},
		{"a frame that is too long", func(e *enemy) { e.settle(); e.raw(0, 0, 1, make([]byte, 16385)) }, 0, http2.ErrCodeFrameSize, true},
		{"SETTINGS of odd length", func(e *enemy) { e.settle(); e.raw(4, 0, 0, make([]byte, 5)) }, 0, http2.ErrCodeFrameSize, true},
		{"SETTINGS of a stream", func(e *enemy) { e.settle(); e.raw(4, 0, 1, nil) }, 0, http2.ErrCodeProtocol, true},
		{"an acknowledgement with something in it", func(e *enemy) { e.settle(); e.raw(4, 1, 0, make([]byte, 6)) }, 0, http2.ErrCodeFrameSize, true},
		{"ENABLE_PUSH 2", func(e *enemy) { e.settle(); e.ok(e.WriteSettings(http2.Setting{ID: 2, Val: 2})) }, 0, http2.ErrCodeProtocol, true},
		{"MAX_FRAME_SIZE 1", func(e *enemy) { e.settle(); e.ok(e.WriteSettings(http2.Setting{ID: 5, Val: 1})) }, 0, http2.ErrCodeProtocol, true},
		{"many settings", func(e *enemy) { e.settle(); e.raw(4, 0, 0, make([]byte, 12_000)) }, 0, http2.ErrCodeEnhanceYourCalm, true},
		{"PING of a stream", func(e *enemy) { e.settle(); e.raw(6, 0, 1, make([]byte, 8)) }, 0, http2.ErrCodeProtocol, true},
		{"PING of 7 bytes", func(e *enemy) { e.settle(); e.raw(6, 0, 0, make([]byte, 7)) }, 0, http2.ErrCodeFrameSize, true},
		{"RST_STREAM of none", func(e *enemy) { e.settle(); e.raw(3, 0, 0, make([]byte, 4)) }, 0, http2.ErrCodeProtocol, true},
		{"RST_STREAM of one that is idle", func(e *enemy) { e.settle(); e.raw(3, 0, 5, make([]byte, 4)) }, 0, http2.ErrCodeProtocol, true},
		{"RST_STREAM of 3 bytes", func(e *enemy) { e.settle(); e.open(false, post...); e.raw(3, 0, 1, make([]byte, 3)) }, 0, http2.ErrCodeFrameSize, true},
		{"WINDOW_UPDATE of one that is idle", func(e *enemy) { e.settle(); e.raw(8, 0, 5, []byte{0, 0, 0, 1}) }, 0, http2.ErrCodeProtocol, true},
		{"WINDOW_UPDATE of 3 bytes", func(e *enemy) { e.settle(); e.raw(8, 0, 0, make([]byte, 3)) }, 0, http2.ErrCodeFrameSize, true},
		{"WINDOW_UPDATE of a stream by 0", func(e *enemy) { e.settle(); e.open(false, post...); e.raw(8, 0, 1, make([]byte, 4)) }, http2.ErrCodeProtocol, 0, false},
		{"a stream's window overflows", func(e *enemy) {
			e.settle()
			e.open(false, post...)
			e.ok(e.WriteWindowUpdate(1, 1<<31-1))
		}, http2.ErrCodeFlowControl, 0, false},
		{"PRIORITY of none", func(e *enemy) { e.settle(); e.raw(2, 0, 0, make([]byte, 5)) }, 0, http2.ErrCodeProtocol, true},
		{"PRIORITY of 4 bytes", func(e *enemy) { e.settle(); e.raw(2, 0, 1, make([]byte, 4)) }, 0, http2.ErrCodeFrameSize, true},
		{"PUSH_PROMISE", func(e *enemy) { e.settle(); e.raw(5, 4, 1, make([]byte, 4)) }, 0, http2.ErrCodeProtocol, true},
		{"HEADERS of none", func(e *enemy) { e.settle(); e.raw(1, 5, 0, e.block()) }, 0, http2.ErrCodeProtocol, true},
		{"HEADERS of an even stream", func(e *enemy) { e.settle(); e.raw(1, 5, 2, e.block()) }, 0, http2.ErrCodeProtocol, true},
		{"padding longer than HEADERS", func(e *enemy) { e.settle(); e.raw(1, 0xd, 1, []byte{9, 0x82}) }, 0, http2.ErrCodeProtocol, true},
		{"padded HEADERS of nothing", func(e *enemy) { e.settle(); e.raw(1, 0xd, 1, nil) }, 0, http2.ErrCodeFrameSize, true},
		{"padding longer than DATA", func(e *enemy) { e.settle(); e.open(false, post...); e.raw(0, 8, 1, []byte{9, 1}) }, 0, http2.ErrCodeProtocol, true},
		{"padded DATA of nothing", func(e *enemy) { e.settle(); e.open(false, post...); e.raw(0, 8, 1, nil) }, 0, http2.ErrCodeProtocol, true},
		{"DATA of one that is idle", func(e *enemy) { e.settle(); e.raw(0, 0, 1, nil) }, 0, http2.ErrCodeProtocol, true},
		{"DATA behind the end", func(e *enemy) { e.settle(); e.open(true, post...); e.raw(0, 0, 1, []byte("x")) }, 0, http2.ErrCodeStreamClosed, true},
		{"HEADERS behind the end", func(e *enemy) { e.settle(); e.open(true, post...); e.raw(1, 5, 1, e.block()) }, 0, http2.ErrCodeStreamClosed, true},
		{"a stream that went before", func(e *enemy) { e.settle(); e.next = 5; e.open(true); e.raw(1, 5, 3, e.block()) }, 0, http2.ErrCodeStreamClosed, true},
		{"something between a head's frames", func(e *enemy) { e.settle(); e.raw(1, 0, 1, e.block()); e.ok(e.WritePing(false, [8]byte{})) }, 0, http2.ErrCodeProtocol, true},
		{"CONTINUATION of another", func(e *enemy) { e.settle(); e.raw(1, 0, 1, e.block()); e.raw(9, 4, 3, nil) }, 0, http2.ErrCodeProtocol, true},
		{"CONTINUATION of nothing", func(e *enemy) { e.settle(); e.raw(9, 4, 1, nil) }, 0, http2.ErrCodeProtocol, true},
		{"a bad block", func(e *enemy) { e.settle(); e.raw(1, 5, 1, []byte{0x80}) }, 0, http2.ErrCodeCompression, true},
		{"a bad block behind a body", func(e *enemy) { e.settle(); e.open(false, post...); e.raw(1, 5, 1, []byte{0x80}) }, 0, http2.ErrCodeCompression, true},
		{"a block of 80 kB", func(e *enemy) {
			e.settle()
			e.raw(1, 0, 1, e.block())
			for range 5 {
				e.raw(9, 0, 1, bytes.Repeat([]byte{0, 1, 'x', 1, 'y'}, 3200))
			}
		}, 0, http2.ErrCodeEnhanceYourCalm, true},
		{"a small block of a large list", func(e *enemy) {
			e.settle()
			e.raw(1, 5, 1, append(e.block(":method", "GET", "x", strings.Repeat("y", 1000)), bytes.Repeat([]byte{0x80 | 62}, 100)...))
		}, 0, http2.ErrCodeEnhanceYourCalm, true},
		{"a malformed request", func(e *enemy) { e.settle(); e.raw(1, 5, 1, e.block(":method", "GET")) }, http2.ErrCodeProtocol, 0, false},
		{"fields behind a body that do not end it", func(e *enemy) { e.settle(); e.open(false, post...); e.raw(1, 4, 1, e.block("x", "y")) }, http2.ErrCodeProtocol, 0, false},
		{"a pseudo-header field behind a body", func(e *enemy) { e.settle(); e.open(false, post...); e.raw(1, 5, 1, e.block(":path", "/")) }, http2.ErrCodeProtocol, 0, false},
		{"a body longer than said", func(e *enemy) {
			e.settle()
			e.open(false, append(post, "content-length", "2")...)
			e.raw(0, 0, 1, []byte("xyz"))
		}, http2.ErrCodeProtocol, 0, false},
		{"a body shorter than said", func(e *enemy) {
			e.settle()
			e.open(false, append(post, "content-length", "2")...)
			e.raw(0, 1, 1, []byte("x"))
		}, http2.ErrCodeProtocol, 0, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := hostile(t, named(t, "a"))
			c := w.dial()
			e := &enemy{t: t, conn: c.TCPConn, out: bufio.NewWriterSize(c.TCPConn, 64<<10), next: 1}
			e.Framer = http2.NewFramer(e.out, c.r)
			e.AllowIllegalWrites = true
			e.enc = hpack.NewEncoder(&e.buf)
			io.WriteString(e.out, http2.ClientPreface)
			tc.say(e)
			e.flush()
			a := e.answer(1)
			if a.wasAway != tc.ends || a.away != tc.away || a.reset != tc.reset {
				t.Errorf("reset %v, connection ended %v with %v", a.reset, a.wasAway, a.away)
			}
			if !tc.ends {
				id := uint32(3)
				e.next = id
				e.open(true)
				e.flush()
				if a := e.answer(id); !a.ended {
					t.Errorf("the next stream: %v", a)
				}
			}
			begun := time.Now()
			e.conn.Close()
			w.alone()
			if took := time.Since(begun); took > lingerTime/2 {
				t.Errorf("the connection was held for %v after the client had closed", took)
			}
		})
	}
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
	<-g.arrived
	<-g.arrived
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
