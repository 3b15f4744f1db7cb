package peers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
)

// TestNoLingerAsHAProxy: with option nolinger connections end with a reset, those of clients and those to servers, where without
// it they end in order; http-pretend-keepalive hides from the server that its connection ends.
func TestNoLingerAsHAProxy(t *testing.T) {
	const text = defaults + `
frontend web
    bind %[1]s
    %[3]s
    default_backend app
backend app
    %[3]s
    option http-server-close
    server a %[2]s
frontend far
    bind %[4]s
    mode tcp
    %[3]s
    default_backend raw
backend raw
    mode tcp
    %[3]s
    server a %[2]s
`
	for _, option := range []string{"no option nolinger", "option nolinger", "option http-pretend-keepalive"} {
		var told []string
		for _, contender := range []string{"waggle", "haproxy"} {
			server, seen := closes(t)
			web, raw := labtest.FreeAddr(t).String(), labtest.FreeAddr(t).String()
			contend(t, contender, fmt.Sprintf(text, web, server, option, raw), web)
			var b strings.Builder
			for _, addr := range []string{web, raw} {
				c := dial(t, addr)
				fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
				r := bufio.NewReader(c)
				if _, err := http.ReadResponse(r, nil); err != nil {
					t.Fatalf("%s: %v", contender, err)
				}
				if addr == raw { // the end of the client's direction
					_ = c.(*net.TCPConn).CloseWrite()
				}
				_, err := io.Copy(io.Discard, r)
				server := ""
				select {
				case server = <-seen:
				case <-time.After(patience):
					t.Fatalf("%s: no end comes to the server", contender)
				}
				if addr == web && option != "option nolinger" { // HAProxy resets servers in any case, which we do not
					server = strings.Fields(server)[0]
				}
				fmt.Fprintf(&b, "client: %s, server: %s\n", ending(err), server)
				c.Close()
			}
			told = append(told, b.String())
		}
		if told[0] != told[1] {
			t.Errorf("%s: waggle:\n%s\nHAProxy:\n%s", option, told[0], told[1])
		}
		if want := option == "option nolinger"; strings.Contains(told[0], "reset") != want {
			t.Errorf("%s: %s", option, told[0])
		}
	}
}

func ending(err error) string {
	switch {
	case err == nil:
		return "in order"
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	default:
		return err.Error()
	}
}

// closes runs a server that answers one request of each connection, and tells what its Connection header was and how the
// connection ends.
func closes(t *testing.T) (addr string, seen chan string) {
	seen = make(chan string, 16)
	return serve(t, func(c net.Conn) {
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		r := bufio.NewReader(c)
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
		_, err = io.Copy(io.Discard, r)
		seen <- fmt.Sprintf("%v %s", req.Close, ending(err))
	}), seen
}
