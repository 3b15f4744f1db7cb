package proxy

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"waggle/pkg/config"
	"waggle/pkg/lab/pki"
)

// h2Rule is something that a client does, and what RFC 9113 or RFC 7541 has come of it.
type h2Rule struct {
	name   string
	say    func(e *enemy)
	want   string // as outcome returns it
	stream uint32 // that is looked at; 0: stream 1
	bare   bool   // neither preface nor SETTINGS are sent before
}

// h2Sections are the rules by the section that they come from.
var h2Sections = []struct {
	name  string
	rules []h2Rule
}{
	{"9113-3.4-preface", prefaceRules},
	{"9113-4-frames", frameRules},
	{"9113-5-streams", streamRules},
	{"9113-6.1-DATA", dataRules},
	{"9113-6.2-HEADERS", headersRules},
	{"9113-6.3-PRIORITY", priorityRules},
	{"9113-6.4-RST_STREAM", resetRules},
	{"9113-6.5-SETTINGS", settingsRules},
	{"9113-6.6-PUSH_PROMISE", pushRules},
	{"9113-6.7-PING", pingRules},
	{"9113-6.8-GOAWAY", goAwayRules},
	{"9113-6.9-WINDOW_UPDATE", windowRules},
	{"9113-6.10-CONTINUATION", continuationRules},
	{"9113-8-messages", messageRules},
	{"7541", hpackRules},
}

// TestH2Rules holds the connections of clients to the RFCs, in clear text and over TLS. A stream's error leaves the others be,
// and a connection's ends it at once when its client has closed.
func TestH2Rules(t *testing.T) {
	seen := make(map[string]bool)
	for _, way := range []string{"clear", "tls"} {
		t.Run(way, func(t *testing.T) {
			var ca *pki.Authority
			opt := func(_ *Setup, fe, _ *config.Proxy) { fe.Binds[0].Proto = "h2" }
			if way == "tls" {
				ca = pki.New(t)
				opt = secured(t, ca, "h2", "http/1.1")
			}
			w := start(t, []netip.AddrPort{witness(t)}, opt)
			for _, section := range h2Sections {
				for _, rule := range section.rules {
					name := section.name + "/" + rule.name
					if way == "tls" != seen[name] {
						t.Errorf("there are two rules %s", name)
					}
					seen[name] = true
					t.Run(name, func(t *testing.T) {
						for range 5 {
							if w.hold(t, ca, rule) < lingerTime {
								return
							}
						}
						t.Error("the connection is held after the client has closed") // a machine that stalls is not so slow each time
					})
				}
			}
			w.alone()
		})
	}
}

// hold has a client say something and compares what comes of it. It gives for how long the connection was held when the client
// had closed.
func (w *world) hold(t *testing.T, ca *pki.Authority, rule h2Rule) time.Duration {
	t.Helper()
	e := w.stranger(t, ca)
	if !rule.bare {
		io.WriteString(e.out, http2.ClientPreface)
		e.settle()
	}
	rule.say(e)
	got := e.outcome(max(rule.stream, 1), rule.want)
	if got != rule.want {
		t.Errorf("%s, want %s", got, rule.want)
	}
	if !strings.HasPrefix(got, "GOAWAY") {
		e.next = 9001
		id := e.open(true)
		if got := e.outcome(id, "200"); got != "200" {
			t.Errorf("the next stream: %s", got)
		}
	}
	begun := time.Now()
	e.conn.Close()
	eventually(t, "the connection's place is free", func() bool { return w.pool.Frontends[0].Sessions.Load() == 0 })
	return time.Since(begun)
}

// stranger is an enemy that has said nothing yet.
func (w *world) stranger(t *testing.T, ca *pki.Authority) *enemy {
	t.Helper()
	c := w.dial()
	e := &enemy{t: t, conn: c.TCPConn, in: c.r, out: bufio.NewWriterSize(c.TCPConn, 64<<10), next: 1}
	if ca != nil {
		conn := tls.Client(c.TCPConn, &tls.Config{RootCAs: ca.Pool(), ServerName: "site.test", NextProtos: []string{"h2"}})
		e.ok(conn.Handshake())
		e.in, e.out = bufio.NewReader(conn), bufio.NewWriterSize(conn, 64<<10)
	}
	e.Framer = http2.NewFramer(e.out, e.in)
	e.SetMaxReadFrameSize(1 << 20)
	e.AllowIllegalWrites, e.AllowIllegalReads = true, true
	e.enc = hpack.NewEncoder(&e.buf)
	e.dec = hpack.NewDecoder(4096, nil)
	return e
}

// mark is the content of the PING that tells where a rule ends.
var mark = [8]byte{'t', 'h', 'e', ' ', 'm', 'a', 'r', 'k'}

// outcome writes what is said and reads what comes of it, until that is known: "GOAWAY code", "RST code" and the status of a
// response for the stream. Where want is one of them so are "goes on", which is that a PING is answered and nothing has
// happened, "DATA n", which is the length of the first of these frames, "acks n", the SETTINGS and PINGs answered before that
// PING, and "body …".
func (e *enemy) outcome(id uint32, want string) string {
	e.t.Helper()
	kind, _, _ := strings.Cut(want, " ")
	if kind == "goes" || kind == "acks" {
		e.ok(e.WritePing(false, mark))
	}
	_ = e.out.Flush() // it may be over already
	status, acks := "", 0
	var body []byte
	var block []byte
	for {
		f, err := e.ReadFrame()
		if err != nil {
			return fmt.Sprint("lost: ", err)
		}
		ended := false
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			return "GOAWAY " + f.ErrCode.String()
		case *http2.RSTStreamFrame:
			if f.StreamID == id {
				return "RST " + f.ErrCode.String()
			}
		case *http2.PingFrame:
			if f.IsAck() && f.Data == mark {
				if kind == "acks" {
					return fmt.Sprint("acks ", acks)
				}
				return "goes on"
			}
			acks++
		case *http2.SettingsFrame:
			if f.IsAck() {
				acks++
			}
		case *http2.HeadersFrame:
			block = append(block[:0], f.HeaderBlockFragment()...)
			fields, err := e.dec.DecodeFull(block)
			e.ok(err)
			if i := slices.IndexFunc(fields, func(f hpack.HeaderField) bool { return f.Name == ":status" }); i >= 0 && f.StreamID == id {
				status = fields[i].Value
			}
			ended = f.StreamEnded() && f.StreamID == id
		case *http2.DataFrame:
			if f.StreamID != id {
				continue
			}
			if kind == "DATA" {
				return fmt.Sprint("DATA ", f.Length)
			}
			body = append(body, f.Data()...)
			ended = f.StreamEnded()
		}
		if ended {
			if kind == "body" {
				return "body " + string(body)
			}
			return status
		}
	}
}

// first reads until a stream has given so many bytes of its body, all windows being closed then.
func (e *enemy) first(id uint32, n int) {
	e.t.Helper()
	e.flush()
	for n > 0 {
		f, err := e.ReadFrame()
		e.ok(err)
		switch f := f.(type) {
		case *http2.HeadersFrame:
			_, err := e.dec.DecodeFull(f.HeaderBlockFragment())
			e.ok(err)
		case *http2.DataFrame:
			if f.StreamID == id {
				n -= len(f.Data())
			}
		}
	}
}

// done reads until a stream has been answered, which it must be.
func (e *enemy) done(id uint32) {
	e.t.Helper()
	if got := e.outcome(id, "200"); got != "200" {
		e.t.Fatalf("stream %d: %s", id, got)
	}
}

// Requests of rules.
var (
	askGet  = []string{":method", "GET", ":scheme", "http", ":authority", "site.test", ":path", "/"}
	askPost = []string{":method", "POST", ":scheme", "http", ":authority", "site.test", ":path", "/"}
)

func with(fields []string, more ...string) []string { return append(slices.Clone(fields), more...) }

// post opens a stream whose body has yet to come.
func (e *enemy) post(more ...string) uint32 {
	e.t.Helper()
	return e.open(false, with(askPost, more...)...)
}

// Frames by their number, and flags, as raw takes them.
const (
	fData, fHeaders, fPriority, fReset, fSettings, fPush, fPing, fGoAway, fWindow, fContinuation = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9

	endStream, endHeaders, isPadded, prioritised = 1, 4, 8, 0x20
)

const (
	protocolError = "GOAWAY PROTOCOL_ERROR"
	sizeError     = "GOAWAY FRAME_SIZE_ERROR"
	flowError     = "GOAWAY FLOW_CONTROL_ERROR"
	closedError   = "GOAWAY STREAM_CLOSED"
	hpackError    = "GOAWAY COMPRESSION_ERROR"
	calmError     = "GOAWAY ENHANCE_YOUR_CALM"
	streamError   = "RST PROTOCOL_ERROR"
	goesOn        = "goes on"
)

var prefaceRules = []h2Rule{
	{name: "a preface and SETTINGS", say: func(*enemy) {}, want: "acks 1"},
	{name: "something else", bare: true, say: func(e *enemy) { io.WriteString(e.out, "PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n") }, want: protocolError},
	{name: "HTTP/1", bare: true, say: func(e *enemy) { io.WriteString(e.out, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") }, want: protocolError},
	{name: "no SETTINGS first", bare: true, say: func(e *enemy) {
		io.WriteString(e.out, http2.ClientPreface)
		e.raw(fPing, 0, 0, make([]byte, 8))
	}, want: protocolError},
	{name: "an acknowledgement first", bare: true, say: func(e *enemy) {
		io.WriteString(e.out, http2.ClientPreface)
		e.raw(fSettings, 1, 0, nil)
	}, want: protocolError},
}

var frameRules = []h2Rule{
	{name: "an unknown type", say: func(e *enemy) { e.raw(0xee, 0xff, 0, make([]byte, 8)) }, want: goesOn},
	{name: "an unknown type of a stream that is idle", say: func(e *enemy) { e.raw(0xee, 0, 7, make([]byte, 8)) }, want: goesOn},
	{name: "flags without meaning", say: func(e *enemy) { e.raw(fPing, 0xfe, 0, make([]byte, 8)) }, want: "acks 2"},
	{name: "the reserved bit", say: func(e *enemy) { e.raw(fPing, 0, 1<<31, make([]byte, 8)) }, want: "acks 2"},
	{name: "the reserved bit of a window", say: func(e *enemy) { e.raw(fWindow, 0, 0, []byte{0x80, 0, 0, 1}) }, want: goesOn},
	{name: "the largest DATA", say: func(e *enemy) { e.post(); e.raw(fData, endStream, 1, make([]byte, 1<<14)) }, want: "200"},
	{name: "DATA that is too long", say: func(e *enemy) { e.post(); e.raw(fData, endStream, 1, make([]byte, 1<<14+1)) }, want: sizeError},
	{name: "HEADERS that is too long", say: func(e *enemy) { e.raw(fHeaders, 5, 1, make([]byte, 1<<14+1)) }, want: sizeError},
	{name: "an unknown type that is too long", say: func(e *enemy) { e.raw(0xee, 0, 0, make([]byte, 1<<14+1)) }, want: sizeError},
	{name: "a bad block", say: func(e *enemy) { e.raw(fHeaders, 5, 1, []byte{0x80}) }, want: hpackError},
	{name: "PRIORITY between a head's frames", say: func(e *enemy) {
		e.raw(fHeaders, endStream, 1, e.block())
		e.raw(fPriority, 0, 1, []byte{0, 0, 0, 0, 1})
	}, want: protocolError},
	{name: "another head between them", say: func(e *enemy) { e.raw(fHeaders, endStream, 1, e.block()); e.raw(fHeaders, 5, 3, e.block()) }, want: protocolError},
	{name: "an unknown type between them", say: func(e *enemy) { e.raw(fHeaders, endStream, 1, e.block()); e.raw(0xee, 0, 0, nil) }, want: protocolError},
	{name: "PING between them", say: func(e *enemy) { e.raw(fHeaders, endStream, 1, e.block()); e.raw(fPing, 0, 0, make([]byte, 8)) }, want: protocolError},
}

var streamRules = []h2Rule{
	{name: "idle, DATA", say: func(e *enemy) { e.raw(fData, 1, 1, []byte("x")) }, want: protocolError},
	{name: "idle, RST_STREAM", say: func(e *enemy) { e.raw(fReset, 0, 1, make([]byte, 4)) }, want: protocolError},
	{name: "idle, WINDOW_UPDATE", say: func(e *enemy) { e.raw(fWindow, 0, 1, []byte{0, 0, 0, 1}) }, want: protocolError},
	{name: "idle, CONTINUATION", say: func(e *enemy) { e.raw(fContinuation, endHeaders, 1, e.block()) }, want: protocolError},
	{name: "idle, PRIORITY", say: func(e *enemy) { e.raw(fPriority, 0, 1, make([]byte, 5)); e.open(true) }, want: "200"},
	{name: "a stream of ours, DATA", say: func(e *enemy) { e.raw(fData, 1, 2, []byte("x")) }, want: protocolError},
	{name: "a stream of ours, RST_STREAM", say: func(e *enemy) { e.raw(fReset, 0, 2, make([]byte, 4)) }, want: protocolError},
	{name: "half-closed, DATA", say: func(e *enemy) { e.open(true); e.raw(fData, 1, 1, []byte("x")) }, want: closedError},
	{name: "half-closed, HEADERS", say: func(e *enemy) { e.open(true); e.raw(fHeaders, 5, 1, e.block()) }, want: closedError},
	{name: "half-closed, CONTINUATION", say: func(e *enemy) { e.open(true); e.raw(fContinuation, 4, 1, e.block()) }, want: protocolError},
	{name: "half-closed, WINDOW_UPDATE", say: func(e *enemy) { e.open(true); e.raw(fWindow, 0, 1, []byte{0, 0, 0, 9}) }, want: "200"},
	{name: "half-closed, PRIORITY", say: func(e *enemy) { e.open(true); e.raw(fPriority, 0, 1, make([]byte, 5)) }, want: "200"},
	{name: "half-closed, RST_STREAM", say: func(e *enemy) { e.open(true); e.raw(fReset, 0, 1, []byte{0, 0, 0, 8}) }, want: goesOn},
	{name: "reset, DATA", say: func(e *enemy) { e.post(); e.raw(fReset, 0, 1, []byte{0, 0, 0, 8}); e.raw(fData, 1, 1, []byte("x")) }, want: closedError},
	{name: "reset, HEADERS", say: func(e *enemy) { e.post(); e.raw(fReset, 0, 1, []byte{0, 0, 0, 8}); e.raw(fHeaders, 5, 1, e.block()) }, want: closedError},
	{name: "reset, CONTINUATION", say: func(e *enemy) { e.post(); e.raw(fReset, 0, 1, []byte{0, 0, 0, 8}); e.raw(fContinuation, 4, 1, nil) }, want: protocolError},
	{name: "reset, RST_STREAM", say: func(e *enemy) {
		e.post()
		e.raw(fReset, 0, 1, []byte{0, 0, 0, 8})
		e.raw(fReset, 0, 1, []byte{0, 0, 0, 8})
	}, want: goesOn},
	{name: "reset, WINDOW_UPDATE", say: func(e *enemy) {
		e.post()
		e.raw(fReset, 0, 1, []byte{0, 0, 0, 8})
		e.raw(fWindow, 0, 1, []byte{0, 0, 0, 8})
	}, want: goesOn},
	{name: "closed, DATA", say: func(e *enemy) { e.done(e.open(true)); e.raw(fData, 1, 1, []byte("x")) }, want: closedError},
	{name: "closed, HEADERS", say: func(e *enemy) { e.done(e.open(true)); e.raw(fHeaders, 5, 1, e.block()) }, want: closedError},
	{name: "closed, CONTINUATION", say: func(e *enemy) { e.done(e.open(true)); e.raw(fContinuation, 4, 1, nil) }, want: protocolError},
	{name: "closed, PRIORITY", say: func(e *enemy) { e.done(e.open(true)); e.raw(fPriority, 0, 1, make([]byte, 5)) }, want: goesOn},
	{name: "closed, WINDOW_UPDATE", say: func(e *enemy) { e.done(e.open(true)); e.raw(fWindow, 0, 1, []byte{0, 0, 0, 1}) }, want: goesOn},
	{name: "closed, RST_STREAM", say: func(e *enemy) { e.done(e.open(true)); e.raw(fReset, 0, 1, make([]byte, 4)) }, want: goesOn},
	{name: "reset by us, what was on its way", say: func(e *enemy) {
		e.post("X", "y")
		e.raw(fData, 0, 1, []byte("x"))
		e.raw(fWindow, 0, 1, []byte{0, 0, 0, 1})
		e.raw(fHeaders, 5, 1, e.block("x-sum", "7"))
		e.raw(fReset, 0, 1, []byte{0, 0, 0, 8})
		e.open(true)
	}, stream: 3, want: "200"},
	{name: "an even number", say: func(e *enemy) { e.raw(fHeaders, 5, 2, e.block()) }, want: protocolError},
	{name: "a smaller number", say: func(e *enemy) { e.next = 5; e.open(true); e.raw(fHeaders, 5, 3, e.block()) }, stream: 3, want: closedError},
	{name: "numbers that are left out", say: func(e *enemy) { e.next = 5; e.open(true) }, stream: 5, want: "200"},
	{name: "more streams than allowed", say: func(e *enemy) {
		for range defaultStreams + 1 {
			e.post()
		}
		e.raw(fReset, 0, 1, []byte{0, 0, 0, 8}) // there is room for the next then
	}, stream: 2*defaultStreams + 1, want: "RST REFUSED_STREAM"},
	{name: "as many as allowed", say: func(e *enemy) {
		for range defaultStreams {
			e.post()
		}
		e.raw(fData, endStream, 2*defaultStreams-1, nil)
	}, stream: 2*defaultStreams - 1, want: "200"},
}

var dataRules = []h2Rule{
	{name: "a body", say: func(e *enemy) { e.post(); e.raw(fData, 1, 1, []byte("hello")) }, want: "body hello"},
	{name: "in two", say: func(e *enemy) { e.post(); e.raw(fData, 0, 1, []byte("hel")); e.raw(fData, 1, 1, []byte("lo")) }, want: "body hello"},
	{name: "with an end of its own", say: func(e *enemy) { e.post(); e.raw(fData, 0, 1, []byte("hello")); e.raw(fData, 1, 1, nil) }, want: "body hello"},
	{name: "padding", say: func(e *enemy) { e.post(); e.raw(fData, 1|isPadded, 1, []byte("\x03hello\x00\x00\x00")) }, want: "body hello"},
	{name: "padding of nothing", say: func(e *enemy) { e.post(); e.raw(fData, 1|isPadded, 1, []byte("\x00hello")) }, want: "body hello"},
	{name: "nothing but padding", say: func(e *enemy) { e.post(); e.raw(fData, 1|isPadded, 1, append([]byte{255}, make([]byte, 255)...)) }, want: "body "},
	{name: "padding as long as the frame", say: func(e *enemy) { e.post(); e.raw(fData, 1|isPadded, 1, []byte("\x06hello")) }, want: protocolError},
	{name: "padding longer than the frame", say: func(e *enemy) { e.post(); e.raw(fData, 1|isPadded, 1, []byte("\xffhello")) }, want: protocolError},
	{name: "padded without its length", say: func(e *enemy) { e.post(); e.raw(fData, 1|isPadded, 1, nil) }, want: sizeError},
	{name: "of no stream", say: func(e *enemy) { e.raw(fData, 1, 0, []byte("x")) }, want: protocolError},
}

var headersRules = []h2Rule{
	{name: "a head", say: func(e *enemy) { e.raw(fHeaders, 5, 1, e.block()) }, want: "200"},
	{name: "padding", say: func(e *enemy) { e.raw(fHeaders, 5|isPadded, 1, append(append([]byte{2}, e.block()...), 0, 0)) }, want: "200"},
	{name: "a priority", say: func(e *enemy) { e.raw(fHeaders, 5|prioritised, 1, append([]byte{0x80, 0, 0, 3, 255}, e.block()...)) }, want: "200"},
	{name: "padding and a priority", say: func(e *enemy) {
		e.raw(fHeaders, 5|isPadded|prioritised, 1, append(append([]byte{1, 0, 0, 0, 3, 255}, e.block()...), 0))
	}, want: "200"},
	{name: "a priority, byte by byte", say: func(e *enemy) {
		e.flush()
		out := e.out
		var frame bytes.Buffer
		e.out = bufio.NewWriter(&frame)
		e.raw(fHeaders, 5|isPadded|prioritised, 1, append(append([]byte{1, 0, 0, 0, 3, 255}, e.block()...), 0))
		e.flush()
		e.out = out
		for _, b := range frame.Bytes() {
			e.ok(e.out.WriteByte(b))
			e.flush()
		}
	}, want: "200"},
	{name: "of no stream", say: func(e *enemy) { e.raw(fHeaders, 5, 0, e.block()) }, want: protocolError},
	{name: "padding longer than the frame", say: func(e *enemy) { e.raw(fHeaders, 5|isPadded, 1, []byte{9, 0x82}) }, want: protocolError},
	{name: "padding longer than what a priority leaves", say: func(e *enemy) { e.raw(fHeaders, 5|isPadded|prioritised, 1, []byte{2, 0, 0, 0, 0, 1, 0x82}) }, want: protocolError},
	{name: "padded without its length", say: func(e *enemy) { e.raw(fHeaders, 5|isPadded, 1, nil) }, want: sizeError},
	{name: "too short for a priority", say: func(e *enemy) { e.raw(fHeaders, 5|prioritised, 1, make([]byte, 4)) }, want: sizeError},
	{name: "too short for both", say: func(e *enemy) { e.raw(fHeaders, 5|isPadded|prioritised, 1, make([]byte, 5)) }, want: sizeError},
	{name: "a stream that depends on itself", say: func(e *enemy) { e.raw(fHeaders, 5|prioritised, 1, append([]byte{0, 0, 0, 1, 1}, e.block()...)) }, want: protocolError},
	{name: "nothing in it", say: func(e *enemy) { e.raw(fHeaders, 5, 1, nil) }, want: streamError},
}

var priorityRules = []h2Rule{
	{name: "a priority", say: func(e *enemy) { e.raw(fPriority, 0, 3, []byte{0, 0, 0, 0, 255}) }, want: goesOn},
	{name: "exclusive", say: func(e *enemy) { e.raw(fPriority, 0, 3, []byte{0x80, 0, 0, 1, 255}) }, want: goesOn},
	{name: "of a later stream", say: func(e *enemy) { e.raw(fPriority, 0, 7, make([]byte, 5)); e.open(true) }, want: "200"},
	{name: "of no stream", say: func(e *enemy) { e.raw(fPriority, 0, 0, make([]byte, 5)) }, want: protocolError},
	{name: "4 bytes", say: func(e *enemy) { e.raw(fPriority, 0, 1, make([]byte, 4)) }, want: sizeError},
	{name: "6 bytes", say: func(e *enemy) { e.raw(fPriority, 0, 1, make([]byte, 6)) }, want: sizeError},
	{name: "a stream that depends on itself", say: func(e *enemy) { e.raw(fPriority, 0, 3, []byte{0, 0, 0, 3, 1}) }, want: protocolError},
}

var resetRules = []h2Rule{
	{name: "of no stream", say: func(e *enemy) { e.raw(fReset, 0, 0, make([]byte, 4)) }, want: protocolError},
	{name: "3 bytes", say: func(e *enemy) { e.post(); e.raw(fReset, 0, 1, make([]byte, 3)) }, want: sizeError},
	{name: "5 bytes", say: func(e *enemy) { e.post(); e.raw(fReset, 0, 1, make([]byte, 5)) }, want: sizeError},
	{name: "an unknown code", say: func(e *enemy) { e.post(); e.raw(fReset, 0, 1, []byte{0, 0, 0, 0xff}) }, want: goesOn},
}

var settingsRules = []h2Rule{
	{name: "each is acknowledged", say: func(e *enemy) { e.settle(); e.settle() }, want: "acks 3"},
	{name: "an acknowledgement", say: func(e *enemy) { e.raw(fSettings, 1, 0, nil) }, want: "acks 1"},
	{name: "an acknowledgement with something in it", say: func(e *enemy) { e.raw(fSettings, 1, 0, make([]byte, 6)) }, want: sizeError},
	{name: "of a stream", say: func(e *enemy) { e.raw(fSettings, 0, 1, nil) }, want: protocolError},
	{name: "5 bytes", say: func(e *enemy) { e.raw(fSettings, 0, 0, make([]byte, 5)) }, want: sizeError},
	{name: "ENABLE_PUSH 0", say: func(e *enemy) { e.ok(e.WriteSettings(http2.Setting{ID: 2, Val: 0})) }, want: "acks 2"},
	{name: "ENABLE_PUSH 2", say: func(e *enemy) { e.ok(e.WriteSettings(http2.Setting{ID: 2, Val: 2})) }, want: protocolError},
	{name: "INITIAL_WINDOW_SIZE 2^31", say: func(e *enemy) { e.ok(e.WriteSettings(http2.Setting{ID: 4, Val: 1 << 31})) }, want: flowError},
	{name: "INITIAL_WINDOW_SIZE 2^31-1", say: func(e *enemy) { e.ok(e.WriteSettings(http2.Setting{ID: 4, Val: 1<<31 - 1})); e.open(true) }, want: "200"},
	{name: "MAX_FRAME_SIZE 2^14-1", say: func(e *enemy) { e.ok(e.WriteSettings(http2.Setting{ID: 5, Val: 1<<14 - 1})) }, want: protocolError},
	{name: "MAX_FRAME_SIZE 2^24", say: func(e *enemy) { e.ok(e.WriteSettings(http2.Setting{ID: 5, Val: 1 << 24})) }, want: protocolError},
	{name: "MAX_FRAME_SIZE 2^24-1", say: func(e *enemy) { e.ok(e.WriteSettings(http2.Setting{ID: 5, Val: 1<<24 - 1})); e.open(true) }, want: "200"},
	{name: "others", say: func(e *enemy) {
		e.ok(e.WriteSettings(http2.Setting{ID: 1, Val: 1 << 30}, http2.Setting{ID: 3, Val: 0}, http2.Setting{ID: 6, Val: 1}))
		e.open(true)
	}, want: "200"},
	{name: "an unknown one", say: func(e *enemy) { e.ok(e.WriteSettings(http2.Setting{ID: 0xff, Val: 1})) }, want: "acks 2"},
	{name: "the last of a kind counts", say: func(e *enemy) {
		e.ok(e.WriteSettings(http2.Setting{ID: 4, Val: 100}, http2.Setting{ID: 4, Val: 1}))
		e.raw(fData, 1, e.post(), []byte("hello"))
	}, want: "DATA 1"},
	{name: "many", say: func(e *enemy) { e.raw(fSettings, 0, 0, make([]byte, 12_000)) }, want: calmError},
}

var pushRules = []h2Rule{
	{name: "from a client", say: func(e *enemy) { e.post(); e.raw(fPush, endHeaders, 1, append([]byte{0, 0, 0, 2}, e.block()...)) }, want: protocolError},
	{name: "of no stream", say: func(e *enemy) { e.raw(fPush, endHeaders, 0, nil) }, want: protocolError},
}

var pingRules = []h2Rule{
	{name: "is answered", say: func(e *enemy) { e.raw(fPing, 0, 0, []byte("12345678")) }, want: "acks 2"},
	{name: "an answer is not", say: func(e *enemy) { e.raw(fPing, 1, 0, []byte("12345678")) }, want: "acks 1"},
	{name: "of a stream", say: func(e *enemy) { e.post(); e.raw(fPing, 0, 1, make([]byte, 8)) }, want: protocolError},
	{name: "7 bytes", say: func(e *enemy) { e.raw(fPing, 0, 0, make([]byte, 7)) }, want: sizeError},
	{name: "9 bytes", say: func(e *enemy) { e.raw(fPing, 0, 0, make([]byte, 9)) }, want: sizeError},
	{name: "an answer of 6 bytes", say: func(e *enemy) { e.raw(fPing, 1, 0, make([]byte, 6)) }, want: sizeError},
}

var goAwayRules = []h2Rule{
	{name: "of a stream", say: func(e *enemy) { e.raw(fGoAway, 0, 1, make([]byte, 8)) }, want: protocolError},
	{name: "7 bytes", say: func(e *enemy) { e.raw(fGoAway, 0, 0, make([]byte, 7)) }, want: sizeError},
	{name: "without a stream", say: func(e *enemy) { e.raw(fGoAway, 0, 0, make([]byte, 8)) }, want: "GOAWAY NO_ERROR"},
	{name: "with an unknown code, and a word", say: func(e *enemy) {
		e.raw(fGoAway, 0, 0, append([]byte{0, 0, 0, 0, 0, 0, 0, 0xff}, bytes.Repeat([]byte("bye"), 1000)...))
	}, want: "GOAWAY NO_ERROR"},
	{name: "streams that are open end first", say: func(e *enemy) {
		e.post()
		e.raw(fGoAway, 0, 0, make([]byte, 8))
		e.raw(fData, 1, 1, []byte("hello"))
		if got := e.outcome(1, "body hello"); got != "body hello" {
			e.t.Error(got)
		}
	}, want: "GOAWAY NO_ERROR"},
}

var windowRules = []h2Rule{
	{name: "of the connection by 0", say: func(e *enemy) { e.raw(fWindow, 0, 0, make([]byte, 4)) }, want: protocolError},
	{name: "of a stream by 0", say: func(e *enemy) { e.post(); e.raw(fWindow, 0, 1, make([]byte, 4)) }, want: streamError},
	{name: "3 bytes", say: func(e *enemy) { e.raw(fWindow, 0, 0, make([]byte, 3)) }, want: sizeError},
	{name: "5 bytes", say: func(e *enemy) { e.raw(fWindow, 0, 0, make([]byte, 5)) }, want: sizeError},
	{name: "3 bytes, of a stream", say: func(e *enemy) { e.post(); e.raw(fWindow, 0, 1, make([]byte, 3)) }, want: sizeError},
	{name: "the connection's overflows", say: func(e *enemy) {
		e.ok(e.WriteWindowUpdate(0, 1<<31-1))
	}, want: flowError},
	{name: "the connection's is full", say: func(e *enemy) { e.ok(e.WriteWindowUpdate(0, 1<<31-1-65535)); e.open(true) }, want: "200"},
	{name: "a stream's overflows", say: func(e *enemy) { e.post(); e.ok(e.WriteWindowUpdate(1, 1<<31-1)) }, want: "RST FLOW_CONTROL_ERROR"},
	{name: "a stream's is full", say: func(e *enemy) { e.ok(e.WriteWindowUpdate(e.open(true), 1<<31-1-65535)) }, want: "200"},
	{name: "a stream's overflows by SETTINGS", say: func(e *enemy) {
		e.post()
		e.ok(e.WriteWindowUpdate(1, 1000))
		e.ok(e.WriteSettings(http2.Setting{ID: 4, Val: 1<<31 - 1}))
	}, want: flowError},
	{name: "SETTINGS open a stream's", say: func(e *enemy) {
		e.ok(e.WriteSettings(http2.Setting{ID: 4, Val: 0}))
		e.raw(fData, 1, e.post(), []byte("hello"))
		e.ok(e.WriteSettings(http2.Setting{ID: 4, Val: 1}))
	}, want: "DATA 1"},
	{name: "SETTINGS make it negative", say: func(e *enemy) {
		e.ok(e.WriteSettings(http2.Setting{ID: 4, Val: 3}))
		e.raw(fData, 1, e.post(), []byte("hello"))
		e.first(1, 3)
		e.ok(e.WriteSettings(http2.Setting{ID: 4, Val: 2}))
		e.ok(e.WriteWindowUpdate(1, 2))
	}, want: "DATA 1"},
	{name: "nothing comes while it is", say: func(e *enemy) {
		e.ok(e.WriteSettings(http2.Setting{ID: 4, Val: 3}))
		e.raw(fData, 1, e.post(), []byte("hello"))
		e.first(1, 3)
		e.ok(e.WriteSettings(http2.Setting{ID: 4, Val: 1}))
		e.ok(e.WriteWindowUpdate(1, 2))
		if got := e.outcome(1, goesOn); got != goesOn {
			e.t.Error(got)
		}
		e.ok(e.WriteWindowUpdate(1, 2))
	}, want: "DATA 2"},
}

var continuationRules = []h2Rule{
	{name: "one", say: func(e *enemy) { b := e.block(); e.raw(fHeaders, 1, 1, b[:5]); e.raw(fContinuation, 4, 1, b[5:]) }, want: "200"},
	{name: "two", say: func(e *enemy) {
		b := e.block()
		e.raw(fHeaders, 1, 1, b[:5])
		e.raw(fContinuation, 0, 1, b[5:7])
		e.raw(fContinuation, 4, 1, b[7:])
	}, want: "200"},
	{name: "empty ones", say: func(e *enemy) {
		e.raw(fHeaders, 1, 1, nil)
		e.raw(fContinuation, 0, 1, e.block())
		e.raw(fContinuation, 4, 1, nil)
	}, want: "200"},
	{name: "it has no padding", say: func(e *enemy) {
		b := e.block()
		e.raw(fHeaders, 1|isPadded, 1, append([]byte{3}, append(b[:5:5], 0, 0, 0)...))
		e.raw(fContinuation, 4|isPadded, 1, b[5:])
	}, want: "200"},
	{name: "of another stream", say: func(e *enemy) { e.raw(fHeaders, 1, 1, e.block()); e.raw(fContinuation, 4, 3, nil) }, want: protocolError},
	{name: "of no stream", say: func(e *enemy) { e.raw(fHeaders, 1, 1, e.block()); e.raw(fContinuation, 4, 0, nil) }, want: protocolError},
	{name: "DATA in place of it", say: func(e *enemy) { e.raw(fHeaders, 0, 1, e.block(askPost...)); e.raw(fData, 1, 1, []byte("x")) }, want: protocolError},
	{name: "DATA after it", say: func(e *enemy) {
		e.raw(fHeaders, 0, 1, e.block(askPost...))
		e.raw(fContinuation, 0, 1, nil)
		e.raw(fData, 1, 1, []byte("x"))
	}, want: protocolError},
	{name: "after the end of a head", say: func(e *enemy) { e.post(); e.raw(fContinuation, 4, 1, e.block()) }, want: protocolError},
	{name: "after the end of one of two", say: func(e *enemy) {
		e.raw(fHeaders, 0, 1, e.block(askPost...))
		e.raw(fContinuation, 4, 1, nil)
		e.raw(fContinuation, 4, 1, nil)
	}, want: protocolError},
	{name: "after DATA", say: func(e *enemy) { e.post(); e.raw(fData, 0, 1, []byte("x")); e.raw(fContinuation, 4, 1, nil) }, want: protocolError},
	{name: "80 kB", say: func(e *enemy) {
		e.raw(fHeaders, 0, 1, e.block())
		for range 5 {
			e.raw(fContinuation, 0, 1, bytes.Repeat([]byte{0, 1, 'x', 1, 'y'}, 3200))
		}
	}, want: calmError},
}
