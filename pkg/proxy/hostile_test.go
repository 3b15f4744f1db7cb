package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"waggle/pkg/config"
	"waggle/pkg/lab/require"
)

// Streams that are opened and reset at once (CVE-2023-44487): no more requests than streams are allowed are in hand,
// and who is faster than that loses the connection.
func TestH2RapidReset(t *testing.T) {
	require.NoRace(t, "the client has to be faster than we are")
	const streams = 20
	reached := make(chan bool, 1)
	server := listen(t, func(_ net.Conn, r *bufio.Reader) {
		select {
		case reached <- true:
		default:
		}
		_, _ = io.Copy(io.Discard, r) // until waggle gives up
	})
	w := hostile(t, server, func(s *Setup, _, _ *config.Proxy) { s.Config.Global.TLS.MaxStreams = streams })
	most := growth()
	e := w.enemy()
	e.open(true)
	e.flush()
	receive(t, reached, "a request at the server") // those that follow may be reset before they are sent on, all of them
	told, code := make(chan struct{}), make(chan http2.ErrCode, 1)
	go func() { code <- e.ending(told) }()
	sent := e.flood(64<<20, told, func() error {
		id := e.next
		e.next += 2
		return errors.Join(
			e.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: e.block(), EndHeaders: true, EndStream: true}),
			e.WriteRSTStream(id, http2.ErrCodeCancel),
		)
	})
	if got := receive(t, code, "the end of the connection"); got != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("after %d bytes the connection ended with %v", sent, got)
	}
	w.alone()
	if n := w.pool.Backends[0].Servers()[0].Sessions.Max(); n > streams {
		t.Errorf("%d requests with the server at once", n)
	}
	if bytes, routines := most(); bytes > modest || routines > 10*streams+50 {
		t.Errorf("it took %d bytes and %d goroutines", bytes, routines)
	}
}

// Heads that never end, or that grow when they are unpacked, end the connection or the stream before they take room.
func TestH2HeaderBombs(t *testing.T) {
	limit := http2.Setting{ID: http2.SettingHeaderTableSize, Val: 1 << 30}
	for _, tc := range []struct {
		name string
		bomb func(e *enemy) error // repeated until the connection ends
		want http2.ErrCode
	}{
		{"CONTINUATION without end (CVE-2023-45288)", func() func(e *enemy) error {
			begun := false
			junk := bytes.Repeat([]byte{0x00, 1, 'x', 1, 'y'}, 3000)
			return func(e *enemy) error {
				if !begun {
					begun = true
					return e.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: e.block()})
				}
				return e.WriteContinuation(1, false, junk)
			}
		}(), http2.ErrCodeEnhanceYourCalm},
		{"empty CONTINUATION without end", func() func(e *enemy) error {
			begun := false
			return func(e *enemy) error {
				if !begun {
					begun = true
					return e.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: e.block()})
				}
				return e.WriteContinuation(1, false, nil)
			}
		}(), http2.ErrCodeNo}, // it is slowed down until its time is over
		{"one byte that stands for four thousand", func(e *enemy) error {
			bomb := append(e.block(":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "x", strings.Repeat("y", 4000)), bytes.Repeat([]byte{0x80 | 62}, 12_000)...)
			id := e.next
			e.next += 2
			return errors.Join(
				e.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: bomb[:10_000], EndStream: true}),
				e.WriteContinuation(id, true, bomb[10_000:]),
			)
		}, http2.ErrCodeEnhanceYourCalm},
		{"a string that is longer than said", func(e *enemy) error {
			return e.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x00, 0x7f, 0xff, 0xff, 0xff, 0x7f}, EndHeaders: true})
		}, http2.ErrCodeCompression},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := hostile(t, named(t, "a"), func(_ *Setup, fe, _ *config.Proxy) {
				if tc.want == http2.ErrCodeNo {
					fe.Timeouts.HTTPKeepAlive = 4 * short
				}
			})
			w.served()
			most := growth()
			e := w.enemy(limit)
			told, code := make(chan struct{}), make(chan http2.ErrCode, 1)
			go func() { code <- e.ending(told) }()
			// How much is taken says nothing: what comes behind the end is thrown away for as long as that is not known here.
			sent := e.flood(64<<20, told, func() error { return tc.bomb(e) })
			if got := receive(t, code, "the end of the connection"); got != tc.want {
				t.Errorf("after %d bytes it ended with %v, want %v", sent, got, tc.want)
			}
			if bytes, _ := most(); bytes > modest {
				t.Errorf("it took %d bytes", bytes)
			}
			w.alone()
			w.served()
		})
	}
}

// Too many or too long fields get 431, and the connection goes on.
func TestH2HeaderTooLarge(t *testing.T) {
	w := hostile(t, named(t, "a"))
	c := w.browser(nil, true)
	for _, fields := range []http.Header{{"X": {strings.Repeat("y", 20_000)}}, {"X": slicesOf("y", 600)}} {
		r := request(t, "GET", "http://site.test/", nil)
		r.Header = fields
		resp, err := c.Do(r)
		if err != nil {
			continue // http2.Transport itself knows SETTINGS_MAX_HEADER_LIST_SIZE
		}
		resp.Body.Close()
		if resp.StatusCode != 431 && resp.StatusCode != 400 {
			t.Errorf("status %d", resp.StatusCode)
		}
	}
	e := w.enemy()
	id := e.open(true, ":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "x", strings.Repeat("y", 9_000), "z", strings.Repeat("y", 9_000))
	e.flush()
	if got := e.status(id); got != "431" {
		t.Errorf("status %s", got)
	}
	id = e.open(true)
	e.flush()
	if got := e.status(id); got != "200" {
		t.Errorf("the next stream got %s", got)
	}
}

// Frames that ask for answers: a client that does not read these loses the connection or is not read any more, and one
// that reads them gets no more than the guard lets through.
func TestH2ControlFloods(t *testing.T) {
	for name, frame := range map[string]func(e *enemy) error{
		"SETTINGS (CVE-2019-9515)": func(e *enemy) error { return e.WriteSettings() },
		"PING (CVE-2019-9512)":     func(e *enemy) error { return e.WritePing(false, [8]byte{}) },
		"streams to be reset (CVE-2019-9514)": func(e *enemy) error {
			id := e.next
			e.next += 2
			return e.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: []byte{0x82}, EndHeaders: true, EndStream: true})
		},
	} {
		for _, reads := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, read %v", name, reads), func(t *testing.T) {
				w := hostile(t, named(t, "a"))
				w.served()
				most := growth()
				e := w.enemy()
				answers := make(chan int, 1)
				if reads {
					go func() { answers <- e.count() }()
				} else {
					_ = e.conn.SetReadBuffer(4 << 10)
				}
				stop := make(chan struct{})
				time.AfterFunc(6*short, func() {
					close(stop)
					_ = e.conn.SetWriteDeadline(time.Now())
				})
				begun := time.Now()
				e.flood(256<<20, stop, func() error { return frame(e) })
				w.served() // meanwhile
				e.conn.Close()
				if bytes, _ := most(); bytes > modest {
					t.Errorf("it took %d bytes", bytes)
				}
				if reads && !strings.HasPrefix(name, "streams") {
					n := receive(t, answers, "the end of the connection")
					if took := time.Since(begun); n > 5000+int(took.Seconds()*1000)+500 {
						t.Errorf("%d answers in %v", n, took)
					}
				}
				w.alone()
			})
		}
	}
}

// Windows that overflow or grow by nothing are errors of the connection or the stream (RFC 9113, section 6.9).
func TestH2WindowGames(t *testing.T) {
	for _, tc := range []struct {
		name string
		play func(e *enemy)
		want http2.ErrCode
	}{
		{"the connection's overflows", func(e *enemy) {
			e.ok(e.WriteWindowUpdate(0, 1<<31-1))
			e.ok(e.WriteWindowUpdate(0, 1<<31-1))
		}, http2.ErrCodeFlowControl},
		{"grows by 0", func(e *enemy) {
			e.ok(e.WriteRawFrame(http2.FrameWindowUpdate, 0, 0, make([]byte, 4)))
		}, http2.ErrCodeProtocol},
		{"begins too large", func(e *enemy) {
			e.ok(e.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 31}))
		}, http2.ErrCodeFlowControl},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := hostile(t, named(t, "a"))
			e := w.enemy()
			tc.play(e)
			_ = e.out.Flush()
			if got := e.ending(make(chan struct{})); got != tc.want {
				t.Errorf("ended with %v, want %v", got, tc.want)
			}
			w.alone()
		})
	}
}

// behindOne is a world whose server is busy with the request of one client, so that others wait.
func behindOne(t *testing.T) (*gate, *world, *enemy) {
	t.Helper()
	g := newGate(t)
	w := hostile(t, g.addr, func(_ *Setup, _, be *config.Proxy) { be.Servers[0].MaxConn = 1 })
	first := w.enemy()
	first.open(true)
	first.flush()
	g.next(t)
	return g, w, first
}

// A body that nobody takes fills its stream's window, and what is sent beyond that ends the stream.
func TestH2WindowOfABody(t *testing.T) {
	g, w, first := behindOne(t)
	e := w.enemy()
	id := e.open(false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/")
	for range 1 << 20 / 16_000 {
		e.ok(e.WriteData(id, false, make([]byte, 16_000)))
	}
	e.flush()
	if got := e.resetOf(id); got != http2.ErrCodeFlowControl {
		t.Errorf("reset with %v", got)
	}
	e.conn.Close()
	eventually(t, "it waits no more", func() bool { return w.pool.Backends[0].Queue.Load() == 0 })
	g.answer <- struct{}{}
	g.answer <- struct{}{} // if it has got to the server
	first.conn.Close()
	w.alone()
}

// A client that opens all streams it may, asks for much, and takes nothing: little is fetched for it, and it loses the
// streams when timeout client has passed.
func TestH2SlowReader(t *testing.T) {
	const streams = 50
	server := listen(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err == nil {
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
			_, _ = io.Copy(c, io.LimitReader(endless{}, 100_000_000))
		}
	})
	for name, settings := range map[string][]http2.Setting{
		"no window":                {{ID: http2.SettingInitialWindowSize, Val: 0}},
		"it does not read":         {{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1}},
		"one byte (CVE-2019-9511)": {{ID: http2.SettingInitialWindowSize, Val: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			w := hostile(t, server, func(s *Setup, fe, be *config.Proxy) {
				s.Config.Global.TLS.MaxStreams = streams
				fe.Timeouts.Client, be.Timeouts.Server = soon, never
			})
			most := growth()
			e := w.enemy(settings...)
			_ = e.conn.SetReadBuffer(4 << 10)
			for range streams {
				e.open(true)
			}
			e.flush()
			be := w.pool.Backends[0]
			eventually(t, "all are with the server", func() bool { return be.Servers()[0].Counters.Sum().Connects == streams })
			for before, still := uint64(0), 0; still < 20; time.Sleep(time.Millisecond) { // there is room for no more
				still++
				if now := be.Counters.Sum().BytesOut; now != before {
					before, still = now, 0
				}
			}
			eventually(t, "they are given up", func() bool { w.skip(soon); return be.Sessions.Load() == 0 })
			taken := be.Counters.Sum().BytesOut
			if most := uint64(streams * stalledStream); taken > most {
				t.Errorf("%d bytes were fetched, want at most %d", taken, most)
			}
			if bytes, _ := most(); bytes > streams*(64<<10)+4<<20 {
				t.Errorf("it took %d bytes", bytes)
			}
			e.conn.Close()
			w.alone()
		})
	}
}

// stalledStream is what is fetched at most for a stream that stands still: the buffers of the session, of the pair and
// of the adapter; and the kernel's, which is the connection's, once.
const stalledStream = 192 << 10

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// Streams beyond the limit are refused, one by one, and empty frames keep none alive.
func TestH2StreamLimits(t *testing.T) {
	g := newGate(t)
	w := hostile(t, g.addr, func(s *Setup, fe, be *config.Proxy) {
		s.Config.Global.TLS.MaxStreams = 2
		fe.Timeouts.Client, be.Timeouts.Server = never, soon
	})
	e := w.enemy()
	e.ok(e.WriteSettingsAck())
	for range 2 {
		e.open(true)
	}
	third := e.open(true)
	e.flush()
	if got := e.resetOf(third); got != http2.ErrCodeProtocol && got != http2.ErrCodeRefusedStream {
		t.Errorf("the third stream was reset with %v", got)
	}
	g.next(t)
	g.next(t)
	g.answer <- struct{}{}
	g.answer <- struct{}{}
	for range 2 {
		for {
			f, err := e.ReadFrame()
			e.ok(err)
			if f.Header().Flags.Has(http2.FlagDataEndStream) && f.Header().StreamID != 0 {
				break
			}
		}
	}
	body := e.open(false, ":method", "POST", ":scheme", "http", ":authority", "a", ":path", "/")
	e.flush()
	ended := make(chan string, 1)
	go func() { ended <- e.status(body) }()
	for deadline := time.After(patience); ; {
		_ = e.WriteData(body, false, nil) // CVE-2019-9518
		_ = e.out.Flush()
		w.skip(soon / 10)
		select {
		case got := <-ended:
			g.answer <- struct{}{}
			if got != "504" {
				t.Errorf("a stream of empty frames ended with %s", got)
			}
			return
		case <-deadline:
			t.Fatal("empty frames keep a stream alive")
		case <-time.After(time.Millisecond):
		}
	}
}

// A client that opens a connection and no stream, or only a part of a frame, loses it after timeout http-keep-alive.
func TestH2SilentClient(t *testing.T) {
	w := hostile(t, named(t, "a"), func(_ *Setup, fe, _ *config.Proxy) { fe.Timeouts.Client, fe.Timeouts.HTTPKeepAlive = never, soon })
	var ends atomic.Int32
	all := []string{
		"",                             // only the preface
		"\x00\x00\x10\x01\x04\x00\x00", // a part of a frame
		"\x00\x00\x01\x01\x00\x00\x00\x00\x01\x82", // a head that stops
		"\x00\x00\x00\xee\x00\x00\x00\x00\x00",     // a frame that means nothing
	}
	for _, say := range all {
		e := w.enemy()
		io.WriteString(e.out, say)
		e.flush()
		go func() {
			e.ending(make(chan struct{}))
			ends.Add(1)
		}()
	}
	eventually(t, "all are cut off", func() bool { w.skip(soon); return ends.Load() == int32(len(all)) })
	w.alone()
}

// The extended CONNECT of RFC 8441 is neither offered nor taken, and the stream is all that is lost by trying.
func TestH2ExtendedConnect(t *testing.T) {
	w := hostile(t, named(t, "a"))
	e := w.enemy()
	f, err := e.ReadFrame()
	e.ok(err)
	settings := f.(*http2.SettingsFrame)
	if v, ok := settings.Value(http2.SettingEnableConnectProtocol); ok && v != 0 {
		t.Error("it is offered")
	}
	id := e.open(false, ":method", "CONNECT", ":protocol", "websocket", ":scheme", "http", ":authority", "a", ":path", "/chat")
	e.flush()
	if got := e.resetOf(id); got != http2.ErrCodeProtocol {
		t.Errorf("reset with %v", got)
	}
	id = e.open(false, ":method", "CONNECT", ":authority", "a:1")
	e.flush()
	if got := e.status(id); got != "400" && got != "405" && got != "501" {
		t.Errorf("CONNECT: %s", got)
	}
	id = e.open(true)
	e.flush()
	if got := e.status(id); got != "200" {
		t.Errorf("the next stream got %s", got)
	}
}

func slicesOf(s string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = s
	}
	return all
}
