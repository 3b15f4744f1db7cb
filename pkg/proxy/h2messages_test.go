package proxy

import (
	"bytes"
	"strings"
)

// messageRules are those about requests.
var messageRules = append([]h2Rule{
	{name: "HEAD", say: func(e *enemy) { e.open(true, with([]string{":method", "HEAD"}, askGet[2:]...)...) }, want: "200"},
	{name: "OPTIONS *", say: func(e *enemy) {
		e.open(true, ":method", "OPTIONS", ":scheme", "http", ":authority", "a", ":path", "*")
	}, want: "200"},
	{name: "fields behind a body", say: func(e *enemy) {
		e.post()
		e.raw(fData, 0, 1, []byte("hello"))
		e.raw(fHeaders, 5, 1, e.block("x-sum", "7"))
	}, want: "body hello"},
	{name: "fields in place of a body", say: func(e *enemy) { e.post(); e.raw(fHeaders, 5, 1, e.block("x-sum", "7")) }, want: "body "},
	{name: "none behind a body", say: func(e *enemy) { e.post(); e.raw(fData, 0, 1, []byte("hello")); e.raw(fHeaders, 5, 1, nil) }, want: "body hello"},
	{name: "fields behind a body that do not end it", say: func(e *enemy) { e.post(); e.raw(fHeaders, 4, 1, e.block("x", "y")) }, want: streamError},
	{name: "two heads", say: func(e *enemy) { e.post(); e.raw(fHeaders, 4, 1, e.block(askPost...)) }, want: streamError},
	{name: "a pseudo-header field behind a body", say: func(e *enemy) { e.post(); e.raw(fHeaders, 5, 1, e.block(":path", "/")) }, want: streamError},
	{name: "capitals behind a body", say: func(e *enemy) { e.post(); e.raw(fHeaders, 5, 1, e.block("X", "y")) }, want: streamError},
	{name: "a line break behind a body", say: func(e *enemy) { e.post(); e.raw(fHeaders, 5, 1, e.block("x", "y\r\nz: 1")) }, want: streamError},
	{name: "a bad block behind a body", say: func(e *enemy) { e.post(); e.raw(fHeaders, 5, 1, []byte{0x80}) }, want: hpackError},
	{name: "a body as long as said", say: func(e *enemy) {
		e.post("content-length", "5")
		e.raw(fData, 0, 1, []byte("hel"))
		e.raw(fData, 1|isPadded, 1, []byte("\x01lo\x00"))
	}, want: "body hello"},
	{name: "a body longer than said", say: func(e *enemy) { e.post("content-length", "2"); e.raw(fData, 0, 1, []byte("xyz")) }, want: streamError},
	{name: "longer with the second frame", say: func(e *enemy) {
		e.post("content-length", "2")
		e.raw(fData, 0, 1, []byte("xy"))
		e.raw(fData, 1, 1, []byte("z"))
	}, want: streamError},
	{name: "a body shorter than said", say: func(e *enemy) { e.post("content-length", "2"); e.raw(fData, 1, 1, []byte("x")) }, want: streamError},
	{name: "shorter with an end of its own", say: func(e *enemy) {
		e.post("content-length", "2")
		e.raw(fData, 0, 1, []byte("x"))
		e.raw(fData, 1, 1, nil)
	}, want: streamError},
	{name: "shorter with fields behind it", say: func(e *enemy) {
		e.post("content-length", "2")
		e.raw(fData, 0, 1, []byte("x"))
		e.raw(fHeaders, 5, 1, e.block("x", "y"))
	}, want: streamError},
	{name: "no body where one was said", say: func(e *enemy) { e.open(true, with(askPost, "content-length", "2")...) }, want: streamError},
	{name: "CONNECT", say: func(e *enemy) { e.open(true, ":method", "CONNECT", ":authority", "a:1") }, want: "405"},
}, malformedRules()...)

// malformedRules are requests that are none (RFC 9113, sections 8.1.1 to 8.5), which ends their streams, and those that only
// HTTP/1 could misunderstand, which are answered.
func malformedRules() (all []h2Rule) {
	get := func(more ...string) []string { return with(askGet, more...) }
	without := func(name string) (kept []string) {
		for i := 0; i < len(askGet); i += 2 {
			if askGet[i] != name {
				kept = append(kept, askGet[i:i+2]...)
			}
		}
		return kept
	}
	replaced := func(name, value string) []string { return append([]string{name, value}, without(name)...) }
	for _, tc := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"capitals", get("X-Test", "y"), streamError},
		{"an empty name", get("", "y"), streamError},
		{"a blank in a name", get("x y", "z"), streamError},
		{"a colon in a name", get("x:", "z"), streamError},
		{"a control byte in a name", get("x\x01", "z"), streamError},
		{"8 bits in a name", get("x\xe4", "z"), streamError},
		{"NUL in a value", get("x", "a\x00b"), streamError},
		{"CR in a value", get("x", "a\rb"), streamError},
		{"LF in a value", get("x", "a\nb"), streamError},
		{"a blank in front of a value", get("x", " y"), streamError},
		{"a tab behind a value", get("x", "y\t"), streamError},
		{"an unknown pseudo-header field", get(":test", "y"), streamError},
		{":status", get(":status", "200"), streamError},
		{":protocol", get(":protocol", "websocket"), streamError},
		{"a pseudo-header field behind another", append([]string{"x", "y"}, askGet...), streamError},
		{":method twice", append([]string{":method", "GET"}, askGet...), streamError},
		{":scheme twice", append([]string{":scheme", "http"}, askGet...), streamError},
		{":path twice", append([]string{":path", "/"}, askGet...), streamError},
		{":authority twice", append([]string{":authority", "site.test"}, askGet...), streamError},
		{"no :method", without(":method"), streamError},
		{"no :scheme", without(":scheme"), streamError},
		{"no :path", without(":path"), streamError},
		{"an empty :path", replaced(":path", ""), streamError},
		{"an empty :method", replaced(":method", ""), streamError},
		{"a line break in :path", replaced(":path", "/ HTTP/1.1\r\nx: y"), streamError},
		{"a line break in :authority", replaced(":authority", "a\r\nx: y"), streamError},
		{"a blank in :method", replaced(":method", "GE T"), streamError},
		{"another :scheme", replaced(":scheme", "ftp"), streamError},
		{"connection", get("connection", "keep-alive"), streamError},
		{"keep-alive", get("keep-alive", "5"), streamError},
		{"proxy-connection", get("proxy-connection", "keep-alive"), streamError},
		{"transfer-encoding", get("transfer-encoding", "chunked"), streamError},
		{"upgrade", get("upgrade", "h2c"), streamError},
		{"te: trailers, deflate", get("te", "trailers, deflate"), streamError},
		{"content-length twice", get("content-length", "0", "content-length", "0"), streamError},
		{"content-length that is none", get("content-length", "-1"), streamError},
		{"CONNECT with a path", []string{":method", "CONNECT", ":authority", "a:1", ":path", "/"}, streamError},
		{"CONNECT with a scheme", []string{":method", "CONNECT", ":authority", "a:1", ":scheme", "http"}, streamError},
		{"CONNECT without authority", []string{":method", "CONNECT"}, streamError},

		{"te: trailers", get("te", "trailers"), "200"},
		{"cookies in pieces", get("cookie", "a=b", "cookie", "c=d"), "200"},
		{"a value of nothing", get("x", ""), "200"},
		{"8 bits in a value", get("x", "\xe4"), "200"},
		{"host in place of :authority", with(without(":authority"), "host", "site.test"), "200"},
		{"the same host", get("host", "SITE.test"), "200"},

		{"another host", get("host", "other.test"), "400"},
		{"two hosts", get("host", "site.test", "host", "site.test"), "400"},
		{"no host", without(":authority"), "400"},
		{"a user", replaced(":authority", "user@a"), "400"},
		{"a blank in :path", replaced(":path", "/a b"), "400"},
		{"a :path without its slash", replaced(":path", "a"), "400"},
		{"GET *", replaced(":path", "*"), "400"},
		{"a field that is too long", get("x", strings.Repeat("y", 16_000), "z", strings.Repeat("y", 1_000)), "431"},
	} {
		all = append(all, h2Rule{name: tc.name, want: tc.want, say: func(e *enemy) {
			b := e.block(tc.fields...)
			n := min(len(b), 16_000)
			if n == len(b) {
				e.raw(fHeaders, endStream|endHeaders, 1, b)
				return
			}
			e.raw(fHeaders, endStream, 1, b[:n])
			e.raw(fContinuation, endHeaders, 1, b[n:])
		}})
	}
	return all
}

// hpackRules are those about blocks of fields.
var hpackRules = func() (all []h2Rule) {
	// Fields of a GET whose authority is put in front by each rule: indexed, GET, http and /.
	rest := []byte{0x82, 0x86, 0x84}
	name, value := "\x0acustom-key", "\x0dcustom-header"
	host := "\x01\x01a" // of the first name in the static table, not remembered
	for _, tc := range []struct {
		name  string
		block string
		want  string
	}{
		{"indexed and without a memory", host, "200"},
		{"a name of the table, remembered", "\x41\x01a", "200"},
		{"a new name, remembered", host + string(rest) + "\x40" + name + value, "200"},
		{"a new name, not remembered", host + string(rest) + "\x00" + name + value, "200"},
		{"a new name, never", host + string(rest) + "\x10" + name + value, "200"},
		{"a name of the table, never", "\x11\x01a", "200"},
		{"in Huffman code", "\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff", "200"},
		{"what was remembered", "\x41\x01a" + string(rest) + "\x40" + name + value + "\xbe\xbe", "200"},
		{"the table's size", "\x3f\xe1\x1f" + host, "200"}, // 4096
		{"its size, twice", "\x20\x3f\xe1\x1f" + host, "200"},
		{"nothing is remembered at size 0", "\x20\x41\x01a" + string(rest) + "\xbe", hpackError},
		{"a size above ours", "\x3f\xe2\x1f" + host, hpackError},
		{"a size behind a field", host + string(rest) + "\x20", hpackError},
		{"index 0", host + string(rest) + "\x80", hpackError},
		{"an index that nothing has", host + string(rest) + "\xbe", hpackError},
		{"a name that nothing has", host + string(rest) + "\x7f\x00\x01x", hpackError},
		{"a number without end", host + string(rest) + "\xff\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", hpackError},
		{"a number that stops", host + string(rest) + "\xff\x80", hpackError},
		{"a string that stops", host + string(rest) + "\x00\x0acust", hpackError},
		{"Huffman code with 8 bits of padding", host + string(rest) + "\x00\x01x\x83\x1f\xff\xff", hpackError},
		{"padded by 0", host + string(rest) + "\x00\x01x\x81\x18", hpackError},
		{"with the end of a string in it", host + string(rest) + "\x00\x01x\x84\xff\xff\xff\xfc", hpackError},
	} {
		block := []byte(tc.block)
		if !bytes.Contains(block, rest) {
			block = append(block, rest...)
		}
		all = append(all, h2Rule{name: tc.name, want: tc.want, say: func(e *enemy) { e.raw(fHeaders, endStream|endHeaders, 1, block) }})
	}
	return append(all, h2Rule{name: "one byte that stands for a thousand", want: calmError, say: func(e *enemy) {
		e.raw(fHeaders, 5, 1, append(e.block(":method", "GET", "x", strings.Repeat("y", 1000)), bytes.Repeat([]byte{0x80 | 62}, 100)...))
	}})
}()
