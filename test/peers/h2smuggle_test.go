package peers

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"waggle/pkg/lab/require"
)

// h2case is a request of HTTP/2: its fields in order, the pieces of its body, and its trailers.
type h2case struct {
	fields, trailers [][2]string
	body             []string
	open             bool // the last frame does not end the stream
}

func (c h2case) String() string {
	return fmt.Sprintf("%q body %q trailers %q open %v", c.fields, c.body, c.trailers, c.open)
}

// frames is what a client sends for it, a second request included.
func (c h2case) frames() []byte {
	var out, block bytes.Buffer
	out.WriteString(http2.ClientPreface)
	f, enc := http2.NewFramer(&out, nil), hpack.NewEncoder(&block)
	fields := func(all [][2]string) []byte {
		block.Reset()
		for _, h := range all {
			_ = enc.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
		}
		return bytes.Clone(block.Bytes())
	}
	_ = f.WriteSettings()
	ends := func(last bool) bool { return last && !c.open }
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields(c.fields), EndHeaders: true, EndStream: ends(len(c.body) == 0 && c.trailers == nil)})
	for i, piece := range c.body {
		_ = f.WriteData(1, ends(i == len(c.body)-1 && c.trailers == nil), []byte(piece))
	}
	if c.trailers != nil {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fields(c.trailers), EndHeaders: true, EndStream: ends(true)})
	}
	_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, EndHeaders: true, EndStream: true,
		BlockFragment: fields([][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "t"}, {":path", "/last"}})})
	return out.Bytes()
}

// try2 sends a request of HTTP/2 and a good one behind it, and waits until there is an answer to both, or an end.
func (r relayed) try2(c h2case) (outcome, error) {
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		return outcome{}, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	port := conn.LocalAddr().(*net.TCPAddr).Port
	r.forget(port)
	_, _ = conn.Write(c.frames())
	o := outcome{statuses: h2statuses(conn)}
	conn.Close()
	o.requests = r.of(port)
	return o, nil
}

// h2statuses reads what a server of HTTP/2 says until both streams, or the connection, have ended.
func h2statuses(conn net.Conn) (said []string) {
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for ended := map[uint32]bool{}; len(ended) < 2; {
		frame, err := f.ReadFrame()
		if err != nil {
			return append(said, "end")
		}
		id := frame.Header().StreamID
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			said = append(said, fmt.Sprintf("%d: %s", id, frame.PseudoValue("status")))
			if frame.StreamEnded() {
				ended[id] = true
			}
		case *http2.DataFrame:
			if frame.StreamEnded() {
				ended[id] = true
			}
		case *http2.RSTStreamFrame:
			said = append(said, fmt.Sprintf("%d: %v", id, frame.ErrCode))
			ended[id] = true
		case *http2.GoAwayFrame:
			said = append(said, fmt.Sprintf("away: %v", frame.ErrCode))
		}
	}
	return said
}

// h2 makes a request of HTTP/2.
func (g grammar) h2() h2case {
	some := func(n int, usual string, rest ...string) string { return g.or(n, usual, rest...) }
	c := h2case{}
	method := some(6, g.pick("GET", "POST", "PUT", "HEAD", "OPTIONS"), "CONNECT", "get", "G T", "", "PRI", "G@T", "GET\r\nX: y", "TRACE")
	authority := some(4, "t", "u", "t:80", "t:443", "t:", "", "t@u", "t/", "t?x", "t#", "[::1]", "t u", "t,u", "T", "t\\u", "t:x", "t:81", "t\x7f")
	c.fields = append(c.fields,
		[2]string{":method", method},
		[2]string{":scheme", some(10, "http", "https", "ftp", "", "HTTP", "http://x/", "ws")},
		[2]string{":authority", authority},
		[2]string{":path", some(5, g.pick("/", "/a?b=c"), "", "*", "a", "//u/", "/a b", "/a\tb", "/#x", "http://t/", "/\x7f", "/\xff", "/a HTTP/1.1\r\nX: y", "?x", "/a?b c", "/\x00")})
	if g.IntN(4*g.calm) == 0 {
		i := g.IntN(4)
		switch g.IntN(4) {
		case 0:
			c.fields = append(c.fields[:i], c.fields[i+1:]...)
		case 1:
			c.fields = append(c.fields, c.fields[i])
		case 2:
			c.fields = append(c.fields, [2]string{"x", "y"}, [2]string{c.fields[i][0], "z"})
		default:
			c.fields = append(c.fields, [2]string{g.pick(":protocol", ":status", ":x", ":", ":Path"), "websocket"})
		}
	}
	for range g.IntN(4) {
		c.fields = append(c.fields, g.h2field())
	}
	for range g.IntN(3) {
		c.body = append(c.body, g.pick("", "abcd", hidden, "0\r\n\r\n"))
	}
	if n := len(strings.Join(c.body, "")); g.IntN(2) == 0 {
		c.fields = append(c.fields, [2]string{"content-length", some(5, strconv.Itoa(n), "0", "4", "+4", "-1", "4,4", "0x4", "", " 4", "4 ", "99999999999999999999", "1")})
		if g.IntN(8*g.calm) == 0 {
			c.fields = append(c.fields, c.fields[len(c.fields)-1])
		}
	}
	if g.IntN(6) == 0 {
		c.trailers = [][2]string{{g.pick("x-t", "content-length", "transfer-encoding", "host", ":path", "X-T", "x t", "authorization", "connection"), g.pick("v", "0", "chunked", "a\r\nb: c", "")}}
	}
	c.open = g.IntN(20) == 0
	return c
}

func (g grammar) h2field() [2]string {
	if g.IntN(3*g.calm) == 0 {
		return [2]string{
			g.pick("Host", "X-A", "x a", "x:", "", "x\x00", "x\r\ny", "x\xff", "connection", "transfer-encoding", "keep-alive", "proxy-connection", "upgrade", "te", "x(a)", "host", "x\x7f", " x", "x "),
			g.pick("chunked", "close", "v", "u", "trailers", "x\r\ny: z", "x\ny: z", "x\x00", " v", "v ", "\tv", "\x7f", "x\x01", "h2c", "gzip"),
		}
	}
	return [2]string{g.pick("x-a", "cookie", "host", "te", "trailer", "expect", "x_a", "http2-settings", "x-forwarded-for", "accept"), g.pick("t", "a=b", "trailers", "100-continue", "", "\xe9", "1.2.3.4", "a,b")}
}

// laxerH2 is laxer for the first of two requests. HAProxy ends the connection with some that waggle ends the stream of, and the two may
// reach the server in any order. A trailer field says nothing that a server needs, an empty cookie nothing at all, and of trailers
// waggle leaves some out.
func laxerH2(ours, theirs outcome) string { return laxer(ours.first(), theirs.first()) }

func (o outcome) first() outcome {
	var kept []asked
	for _, a := range o.requests {
		if strings.Contains(a.line, "/last") {
			continue
		}
		a.fields = slices.DeleteFunc(slices.Clone(a.fields), func(f string) bool { return strings.HasPrefix(f, "trailer: ") })
		for i, f := range a.fields {
			a.fields[i] = crumbs(f)
		}
		a.fields = slices.DeleteFunc(a.fields, func(f string) bool { return f == "" })
		a.tail = slices.DeleteFunc(slices.Clone(a.tail), func(f string) bool { return strings.HasPrefix(f, "authorization: ") })
		kept = append(kept, a)
	}
	return outcome{o.statuses, kept}
}

// crumbs is a field, a cookie without empty parts, "" where nothing else is in it.
func crumbs(field string) string {
	cookies, ok := strings.CutPrefix(field, "cookie:")
	if !ok {
		return field
	}
	var kept []string
	for c := range strings.SplitSeq(cookies, ";") {
		if c = strings.TrimSpace(c); c != "" {
			kept = append(kept, c)
		}
	}
	if len(kept) == 0 {
		return ""
	}
	return "cookie: " + strings.Join(kept, "; ")
}

// TestAmbiguousHTTP2AsHAProxy does with requests of HTTP/2 what TestAmbiguousRequestsAsHAProxy does.
func TestAmbiguousHTTP2AsHAProxy(t *testing.T) {
	require.Tool(t, "haproxy")
	waggle, haproxy := startRelayed(t, "waggle", "proto h2"), startRelayed(t, "haproxy", "proto h2")
	cases := made(t, grammar.h2)
	forwarded := compareRelayed(t, cases, 32, waggle.try2, haproxy.try2, laxerH2)
	if forwarded < len(cases) { // the good one behind each, and some
		t.Errorf("only %d requests of %d pairs were forwarded: too little is compared", forwarded, len(cases))
	}
}
