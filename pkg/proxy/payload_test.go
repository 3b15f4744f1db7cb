package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// bodyWorld runs rules of a frontend in front of a server that tells of each request when its head has come, and answers with
// its body.
func bodyWorld(t *testing.T, front ...string) (w *world, seen chan http.Header) {
	t.Helper()
	seen = make(chan http.Header, 16)
	server := listen(t, func(c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		seen <- req.Header
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
	return startText(t, ruleRow{front: front}, server), seen
}

// pass has the loop do what it has to do for everything that was sent before.
func (w *world) pass() {
	w.t.Helper()
	c := w.dial()
	c.send("GET /pass HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	c.response("GET")
}

// A request whose body is buffered reaches its server when all of it has come, and not before.
func TestBodyIsBuffered(t *testing.T) {
	for name, rule := range map[string]string{"option": "option http-buffer-request", "rule": "http-request wait-for-body time 1m"} {
		t.Run(name, func(t *testing.T) {
			w, seen := bodyWorld(t, "http-request return status 204 if { path /pass }", rule, "http-request set-header x-b %[req.body,field(2,&)],%[req.body_len],%[req.body_size]")
			for _, parts := range [][2]string{
				{"Content-Length: 7\r\n\r\na=1", "&b=2"},
				{"Transfer-Encoding: chunked\r\n\r\n3\r\na=1\r\n4", "\r\n&b=2\r\n0\r\n\r\n"},
			} {
				c := w.dial()
				c.send("POST / HTTP/1.1\r\nHost: a\r\n" + parts[0])
				w.pass()
				if len(seen) > 0 {
					t.Fatalf("the server has seen %q before the body had come", <-seen)
				}
				c.send(parts[1])
				_, body := c.response("POST")
				if body != "a=1&b=2" {
					t.Errorf("the server was sent %q", body)
				}
				if got := (<-seen).Get("x-b"); got != "b=2,7,7" {
					t.Errorf("rules saw %q", got)
				}
			}
		})
	}
}

// An empty body is one, whatever its framing.
func TestEmptyBodyIsSeen(t *testing.T) {
	for _, framing := range []string{"\r\n", "Content-Length: 0\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"} {
		w, seen := bodyWorld(t, "http-request wait-for-body time 1m", "http-request set-header x-b [%[req.body]],%[req.body_len],%[req.body_size]")
		c := w.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\n" + framing)
		c.response("POST")
		if got := (<-seen).Get("x-b"); got != "[],0,0" {
			t.Errorf("%q: rules saw %q", framing, got)
		}
	}
}

// Enough of a body is enough, and so is as much as there is room for.
func TestBodyIsBufferedInPart(t *testing.T) {
	w, seen := bodyWorld(t, "http-request wait-for-body time 1m at-least 3", "http-request set-header x-b %[req.body_len]")
	c := w.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\na=1")
	if got := (<-seen).Get("x-b"); got != "3" {
		t.Errorf("rules saw %q", got)
	}
	c.send("&b=2")
	if _, body := c.response("POST"); body != "a=1&b=2" {
		t.Errorf("the server was sent %q", body)
	}

	w, seen = bodyWorld(t, "option http-buffer-request", "http-request set-header x-full 1 if { req.body_len gt 16000 } { req.body_size 40000 }")
	big := strings.Repeat("abcdefgh", 5000)
	c = w.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 40000\r\n\r\n" + big[:20000])
	if (<-seen).Get("x-full") != "1" {
		t.Error("the buffer was not full")
	}
	c.send(big[20000:])
	if _, body := c.response("POST"); body != big {
		t.Errorf("the server was sent %d bytes, not the body", len(body))
	}
}

// A client that waits for 100 Continue gets it from us when its body is waited for, and the server is not asked for it.
func TestBodyIsAskedFor(t *testing.T) {
	w, seen := bodyWorld(t, "option http-buffer-request")
	c := w.dial()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
	if head, err := readHead(c.r); err != nil || head != "HTTP/1.1 100 Continue\r\n\r\n" {
		t.Fatalf("got %q, %v", head, err)
	}
	c.send("abc")
	if _, body := c.response("POST"); body != "abc" {
		t.Errorf("the server was sent %q", body)
	}
	if got := (<-seen).Get("expect"); got != "" {
		t.Errorf("the server was told to expect %q", got)
	}
}

// A body that is too slow is answered 408, one that is none 400, and half of one nothing at all.
func TestBodyNeverComes(t *testing.T) {
	for _, x := range []struct {
		name  string
		rules []string
		body  string
		fin   bool
		want  string
	}{
		{name: "option", rules: []string{"timeout http-request 30ms", "option http-buffer-request"}, body: "Content-Length: 3\r\n\r\na", want: "HTTP/1.1 408 Request Time-out\r\n"},
		{name: "rule", rules: []string{"http-request wait-for-body time 30ms"}, body: "Content-Length: 3\r\n\r\na", want: "HTTP/1.1 408 Request Time-out\r\n"},
		{name: "chunks", rules: []string{"option http-buffer-request"}, body: "Transfer-Encoding: chunked\r\n\r\nx\r\n", want: "HTTP/1.1 400 Bad request\r\n"},
		{name: "fin", rules: []string{"option http-buffer-request"}, body: "Content-Length: 3\r\n\r\na", fin: true},
	} {
		t.Run(x.name, func(t *testing.T) {
			w, seen := bodyWorld(t, x.rules...)
			c := w.dial()
			c.send("POST / HTTP/1.1\r\nHost: a\r\n" + x.body)
			if x.fin {
				if err := c.CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			if got := c.rest(); !strings.HasPrefix(got, x.want) || x.want == "" && got != "" {
				t.Errorf("got %q", got)
			}
			if len(seen) > 0 {
				t.Error("the server has seen the request")
			}
		})
	}
}

// A connection lives on after a refusal whose body had come.
func TestRefusedBodyIsSkipped(t *testing.T) {
	w, _ := bodyWorld(t, "http-request deny if METH_POST")
	c := w.dial()
	for _, body := range []string{"Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"} {
		c.send("POST / HTTP/1.1\r\nHost: a\r\n" + body)
		if resp, _ := c.response("POST"); resp.StatusCode != 403 || resp.Close {
			t.Fatalf("%q: status %d, closing %v", body, resp.StatusCode, resp.Close)
		}
	}
	if status, _ := c.get("/"); status != 200 {
		t.Errorf("status %d", status)
	}
}
