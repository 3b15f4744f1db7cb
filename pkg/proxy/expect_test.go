package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strings"
	"testing"

	"waggle/pkg/config"
)

// In HTTP/1 an expectation is the server's to meet (RFC 9110, section 10.1.1): its 100 comes through before the body
// is sent, and so does its refusal, for which no body is.
func TestExpectContinue(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		server := listen(t, func(c net.Conn, r *bufio.Reader) {
			head, err := readHead(r)
			if err != nil || !strings.Contains(strings.ToLower(head), "expect: 100-continue") {
				return
			}
			if refuse {
				io.WriteString(c, "HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
				return
			}
			io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
			body := make([]byte, 5)
			if _, err := io.ReadFull(r, body); err == nil {
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n%s", body)
			}
		})
		w := start(t, []netip.AddrPort{server})
		c := w.dial()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		resp, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := map[bool]int{false: 100, true: 417}[refuse]
		if resp.StatusCode != want {
			t.Fatalf("before the body: status %d, want %d", resp.StatusCode, want)
		}
		if refuse {
			continue
		}
		c.send("hello")
		if resp, body := c.response("POST"); resp.StatusCode != 200 || body != "hello" {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
	}
}

// In HTTP/2 it is passed on, too, and so is the answer.
func TestExpectContinueByH2(t *testing.T) {
	seen := make(chan string, 1)
	server := listen(t, func(c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		seen <- req.Header.Get("Expect")
		fmt.Fprint(c, "HTTP/1.1 100 Continue\r\n\r\n")
		body, _ := io.ReadAll(req.Body)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	})
	w := start(t, []netip.AddrPort{server}, func(_ *Setup, fe, _ *config.Proxy) { fe.Binds[0].Proto = "h2" })
	r := request(t, "POST", "http://a.test/", strings.NewReader("hello"))
	r.Header.Set("Expect", "100-continue")
	continued := make(chan struct{}, 1)
	r = r.WithContext(httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{Got100Continue: func() { continued <- struct{}{} }}))
	resp, body := w.exchange(w.browser(nil, true), r)
	if resp.StatusCode != 200 || string(body) != "hello" {
		t.Errorf("%d %q", resp.StatusCode, body)
	}
	select {
	case <-continued:
	default:
		t.Error("there was no 100")
	}
	if got := <-seen; got != "100-continue" {
		t.Errorf("the server was asked %q", got)
	}
}
