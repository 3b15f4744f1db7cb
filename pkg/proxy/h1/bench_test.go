package h1

import (
	"bytes"
	"testing"
)

// What a browser sends and what nginx answers.
var (
	browserRequest = []byte("GET /static/app.js?v=42 HTTP/1.1\r\nHost: www.example.com\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" +
		"Accept: */*\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n" +
		"Referer: https://www.example.com/\r\nConnection: keep-alive\r\nCookie: sid=0123456789abcdef\r\n\r\n")
	nginxResponse = []byte("HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Mon, 23 Nov 2026 17:00:00 GMT\r\n" +
		"Content-Type: application/javascript\r\nContent-Length: 612\r\nLast-Modified: Mon, 23 Nov 2026 16:00:00 GMT\r\n" +
		"Connection: keep-alive\r\nETag: \"6543210f-264\"\r\nAccept-Ranges: bytes\r\n\r\n")
	chunkedBody = append(bytes.Repeat(append([]byte("2000\r\n"), append(make([]byte, 8192), "\r\n"...)...), 8), "0\r\n\r\n"...)
)

// exchange is one request and its response as an event loop treats them.
type exchange struct {
	req   Request
	resp  Response
	edits Edits
	body  Chunked
	out   []byte
}

func (x *exchange) run() {
	x.req.Reset()
	x.resp.Reset()
	x.edits.Reset()
	if n, _ := x.req.Parse(browserRequest); n == 0 {
		panic("request refused")
	}
	x.edits.Add("X-Forwarded-For", "192.0.2.1")
	x.edits.Set("X-Forwarded-Proto", "https")
	_ = x.req.Header("host")
	x.out = x.req.AppendTo(x.out[:0], &x.edits, Hop{KeepAlive: true})
	if n, _ := x.resp.Parse(nginxResponse, x.req.Asked(false)); n == 0 {
		panic("response refused")
	}
	x.out = x.resp.AppendTo(x.out[:0], nil, Hop{Minor: x.req.Minor, KeepAlive: x.req.KeepAlive})
}

func TestNothingAllocates(t *testing.T) {
	var x exchange
	x.run()
	bad := []byte("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: z\r\n\r\n")
	payload := make([]byte, 0, 128<<10)
	for name, fn := range map[string]func(){
		"exchange": x.run,
		"refusal": func() {
			x.req.Reset()
			_, why := x.req.Parse(bad)
			x.out = AppendError(x.out[:0], why.Status(), Reply{Minor: 1})
		},
		"chunked": func() {
			x.body.Reset()
			if _, done, _ := x.body.Scan(chunkedBody); !done {
				panic("body refused")
			}
			x.body.Reset()
			payload, _, _, _ = x.body.AppendPayload(payload[:0], chunkedBody)
		},
		"rules": func() {
			x.req.Reset()
			x.edits.Reset()
			_, _ = x.req.Parse(browserRequest)
			x.edits.Del("cookie")
			x.edits.SetTarget(x.req.Path())
			_ = x.edits.Header(&x.req.Head, "user-agent")
			x.out = x.req.AppendTo(x.out[:0], &x.edits, Hop{})
		},
	} {
		if n := testing.AllocsPerRun(100, fn); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkRequestParse(b *testing.B) {
	var r Request
	b.SetBytes(int64(len(browserRequest)))
	for b.Loop() {
		r.Reset()
		_, _ = r.Parse(browserRequest)
	}
}

func BenchmarkResponseParse(b *testing.B) {
	var r Response
	b.SetBytes(int64(len(nginxResponse)))
	for b.Loop() {
		r.Reset()
		_, _ = r.Parse(nginxResponse, Asked{Method: MethodGet})
	}
}

func BenchmarkExchange(b *testing.B) {
	var x exchange
	for b.Loop() {
		x.run()
	}
}

func BenchmarkChunkedScan(b *testing.B) {
	var c Chunked
	b.SetBytes(int64(len(chunkedBody)))
	for b.Loop() {
		c.Reset()
		_, _, _ = c.Scan(chunkedBody)
	}
}
