package proxy

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"hash/adler32"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// decoded gives what a coded body says.
func decoded(t *testing.T, c config.Coding, body io.Reader) io.Reader {
	t.Helper()
	var r io.Reader
	var err error
	switch c {
	case config.Gzip:
		r, err = gzip.NewReader(body)
	case config.Deflate:
		r, err = zlib.NewReader(body)
	case config.RawDeflate:
		r = flate.NewReader(body)
	default:
		r = body
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Whatever pieces a body comes in, and whatever is in it, it is what it was when it is decoded, and no piece grows by more
// than has been reserved for it.
func TestCodingsKeepBodies(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	c := &compressor{}
	for _, algo := range []config.Coding{config.Gzip, config.Deflate, config.RawDeflate} {
		for level := 1; level <= 9; level += 4 {
			var body, out []byte
			k := coding{algo: algo, level: level, compressor: c, meter: &meter{}, counters: [2]*pool.Shard{{}, nil}}
			for i := range 12 {
				piece := make([]byte, random.IntN([]int{3, 200, 20000, maxPiece + 1}[i%4]))
				for j := range piece {
					if piece[j] = byte('a' + j%7); i%3 == 0 {
						piece[j] = byte(random.Uint32())
					}
				}
				body = append(body, piece...)
				before := len(out)
				out = k.append(out, piece, i == 11, time.Now())
				if grown := len(out) - before - len(piece); grown > codingOverhead-len("ffff\r\n\r\n0\r\n\r\n") {
					t.Errorf("%v: a piece of %d bytes has grown by %d", algo, len(piece), grown)
				}
			}
			got, err := io.ReadAll(decoded(t, algo, bytes.NewReader(out)))
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%v at level %d: %d bytes became %d, %v", algo, level, len(body), len(got), err)
			}
			if in, sent := k.counters[0].CompIn.Load(), k.counters[0].CompOut.Load(); in != uint64(len(body)) || sent != uint64(len(out)) {
				t.Errorf("%v: counted %d and %d bytes of %d and %d", algo, in, sent, len(body), len(out))
			}
		}
	}
}

func TestAdlerUpdate(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		b := make([]byte, random.IntN(200000))
		for i := range b {
			b[i] = byte(random.Uint32()) | 0xf0
		}
		cut := random.IntN(len(b) + 1)
		if got, want := adlerUpdate(adler32.Checksum(b[:cut]), b[cut:]), adler32.Checksum(b); got != want {
			t.Fatalf("%d and %d bytes: %08x, want %08x", cut, len(b)-cut, got, want)
		}
	}
}

func TestAcceptedCoding(t *testing.T) {
	for item, want := range map[string]string{
		"gzip": "gzip 1000", " gzip;q=0.8": "gzip 800", "gzip ; q=0.05 ": "gzip 50", "gzip; x=1; q=0.2": "gzip 200", "*;q=1.0": "* 1000",
		"br;q=0": "br 0", "br;q=2": "br 0", "br;q=": "br 0", "br;q=1.999": "br 1000", "br;q=0.12345": "br 123", "br;q=x": "br 0", "": " 1000",
	} {
		name, q := acceptedCoding([]byte(item))
		if got := fmt.Sprint(name, " ", q); got != want {
			t.Errorf("%q: %s, want %s", item, got, want)
		}
	}
}

func TestMeter(t *testing.T) {
	var m meter
	at := func(ms int64) time.Time { return time.UnixMilli(1_000_000 + ms) }
	m.add(at(100), 1000)
	m.add(at(900), 1000)
	for _, x := range []struct {
		ms   int64
		want uint64
	}{{950, 2000}, {1000, 2000}, {1500, 1000}, {1999, 2}, {2000, 0}, {5000, 0}} {
		if got := m.read(at(x.ms)); got != x.want {
			t.Errorf("after %d ms the rate is %d, want %d", x.ms, got, x.want)
		}
	}
	m.add(at(7000), 10)
	if got := m.read(at(7999)); got != 10 {
		t.Errorf("the rate is %d", got)
	}
}

func TestLoopIdleShare(t *testing.T) {
	c := &compressor{}
	for _, x := range []struct {
		now, idle time.Duration
		want      int
	}{{time.Second, time.Second, 100}, {1100 * time.Millisecond, time.Second, 100}, {2 * time.Second, 1250 * time.Millisecond, 25}, {2400 * time.Millisecond, 0, 25}, {3 * time.Second, 2250 * time.Millisecond, 100}} {
		if got := c.idle(x.now, func() time.Duration { return x.idle }); got != x.want {
			t.Errorf("at %v the loop is idle for %d %%, want %d", x.now, got, x.want)
		}
	}
}

// compressing is a world whose server answers with a script's pieces, each when it has been asked for.
func compressing(t *testing.T, head string, pieces []string, next <-chan bool, settings config.Compression, opts ...option) *world {
	t.Helper()
	server := listen(t, func(c net.Conn, r *bufio.Reader) {
		for {
			if _, err := readHead(r); err != nil {
				return
			}
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n"+head+"\r\n"); err != nil {
				return
			}
			for _, p := range pieces {
				if next != nil && !<-next {
					return
				}
				if _, err := io.WriteString(c, p); err != nil {
					return
				}
			}
		}
	})
	return start(t, []netip.AddrPort{server}, append(opts, func(_ *Setup, fe, _ *config.Proxy) { fe.Compression = &settings })...)
}

const askGzip = "GET / HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip, deflate\r\n\r\n"

// What a server sends is with the client, decoded, before the server says more.
func TestCompressionHoldsNothingBack(t *testing.T) {
	for _, algo := range []config.Coding{config.Gzip, config.Deflate, config.RawDeflate, config.Identity} {
		t.Run(algo.Name(), func(t *testing.T) {
			events := []string{"data: one\n\n", "data: two, " + strings.Repeat("and more, ", 300) + "\n\n", "data: three\n\n"}
			var pieces []string
			for _, e := range events {
				pieces = append(pieces, fmt.Sprintf("%x\r\n%s\r\n", len(e), e))
			}
			pieces = append(pieces, "0\r\nX-Sum: 7\r\n\r\n")
			next := make(chan bool, 1)
			w := compressing(t, "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", pieces, next, config.Compression{Codings: []config.Coding{algo}})
			c := w.dial()
			for range 2 { // and the connection serves again
				c.send(askGzip)
				next <- true
				resp, err := http.ReadResponse(c.r, &http.Request{Method: "GET"})
				if err != nil {
					t.Fatal(err)
				}
				if got := resp.Header.Get("content-encoding"); got != algo.Name() && (got != "" || algo != config.Identity) {
					t.Fatalf("the coding is %q", got)
				}
				body := decoded(t, algo, resp.Body)
				for i, e := range events {
					if i > 0 {
						next <- true
					}
					b := make([]byte, len(e))
					if _, err := io.ReadFull(body, b); err != nil || string(b) != e {
						t.Fatalf("event %d is %.20q, %v", i, b, err)
					}
				}
				next <- true
				if b, err := io.ReadAll(body); err != nil || len(b) > 0 {
					t.Fatalf("behind the events there is %q, %v", b, err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Trailer.Get("x-sum") != "7" {
					t.Errorf("the trailer is %q, %v", resp.Trailer, err)
				}
			}
			if got := w.pool.Frontends[0].Counters.Sum(); got.CompResponses != 2 {
				t.Errorf("counted %d responses", got.CompResponses)
			}
		})
	}
}

// Large bodies of either framing pass whole, also to a client that reads slowly.
func TestCompressedBodiesAreWhole(t *testing.T) {
	body := pattern(3 << 20)
	chunked := bytes.NewBuffer(nil)
	for rest := body; len(rest) > 0; {
		n := min(len(rest), 1+len(rest)%70000)
		fmt.Fprintf(chunked, "%x;ext=1\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	chunked.WriteString("0\r\n\r\n")
	for name, x := range map[string][2]string{
		"length":  {fmt.Sprintf("Content-Length: %d\r\n", len(body)), string(body)},
		"chunked": {"Transfer-Encoding: chunked\r\n", chunked.String()},
	} {
		t.Run(name, func(t *testing.T) {
			w := compressing(t, x[0], []string{x[1]}, nil, config.Compression{Codings: []config.Coding{config.Gzip}})
			c := w.dial()
			for range 2 {
				c.send(askGzip)
				resp, err := http.ReadResponse(c.r, &http.Request{Method: "GET"})
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(decoded(t, config.Gzip, resp.Body))
				if err != nil {
					t.Fatal(err)
				}
				sameBytes(t, got, body)
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// A server that breaks off leaves the client with no body that looks whole.
func TestCompressionOfACutBody(t *testing.T) {
	next := make(chan bool, 2)
	w := compressing(t, "Content-Length: 1000\r\n", []string{"some", "more"}, next, config.Compression{Codings: []config.Coding{config.Gzip}})
	c := w.dial()
	c.send(askGzip)
	next <- true
	next <- false
	resp, err := http.ReadResponse(c.r, &http.Request{Method: "GET"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(decoded(t, config.Gzip, resp.Body)); err == nil {
		t.Errorf("got %q as a whole body", got)
	}
	if got := w.pool.Frontends[0].Counters.Sum(); got.CompResponses != 0 || got.CompIn != 4 {
		t.Errorf("counted %d responses, %d bytes", got.CompResponses, got.CompIn)
	}
}

// freeze has the loops believe that it is the same second for ever.
func (e *Engine) freeze() time.Time {
	date := time.Unix(2_000_000_000, 0)
	for _, w := range e.workers {
		done := make(chan struct{})
		w.loop.Post(func() {
			now := w.loop.Now()
			w.calendar = calendar{wall: func() time.Time { return date }, zero: date.Add(-now), seen: now}
			close(done)
		})
		<-done
	}
	return date
}

func TestCompressionRate(t *testing.T) {
	var m meter
	second := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	m.add(second(0), 100)
	for _, step := range []struct {
		at   float64
		want uint64
	}{{0.5, 100}, {1, 100}, {1.75, 25}, {2, 0}} {
		if got := m.read(second(step.at)); got != step.want {
			t.Errorf("after %v s: %d, want %d", step.at, got, step.want)
		}
	}
	m.add(second(3), 100)
	if got := m.read(second(2.9)); got != 100 {
		t.Errorf("by a loop that is a moment late: %d", got)
	}
	if got := m.read(second(-3600)); got != 0 {
		t.Errorf("after the clock was set back: %d", got)
	}
}

// Beyond the limits of the process responses pass as they are.
func TestCompressionLimits(t *testing.T) {
	settings := config.Compression{Codings: []config.Coding{config.Gzip}}
	for name, x := range map[string]struct {
		global config.Global
		before func(*Engine)
		want   string
	}{
		"none":       {want: "gzip"},
		"rate":       {global: config.Global{CompressionRate: 1}, before: func(e *Engine) { e.compressed.add(e.freeze(), 1025) }},
		"below rate": {global: config.Global{CompressionRate: 1}, before: func(e *Engine) { e.compressed.add(e.freeze(), 1024) }, want: "gzip"},
		"busy":       {global: config.Global{CompressionIdle: 101}},
		"idle":       {global: config.Global{CompressionIdle: 1}, want: "gzip"},
	} {
		t.Run(name, func(t *testing.T) {
			w := compressing(t, "Content-Length: 4\r\n", []string{"some"}, nil, settings, func(s *Setup, _, _ *config.Proxy) { s.Config.Global = x.global })
			if x.before != nil {
				x.before(w.engine)
			}
			c := w.dial()
			c.send(askGzip)
			if resp, _ := c.response("GET"); resp.Header.Get("content-encoding") != x.want {
				t.Errorf("the coding is %q, want %q", resp.Header.Get("content-encoding"), x.want)
			}
			if got := w.pool.Process.CompLimit.Load(); got != int64(x.global.CompressionRate)<<10 {
				t.Errorf("the limit that statistics tell is %d", got)
			}
		})
	}
}
