package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/lab/require"
)

// A client of TLS or HTTP/2 whose connection is dropped silently is told nothing either: no alert, no GOAWAY, no end. What
// it sends afterwards finds no socket, which this host answers by RST, so both sides have said all they have to say before:
// the SETTINGS of HTTP/2 are acknowledged when a first response is there. The request itself is sent again, if nobody has
// acknowledged it: a test that is stopped for so long cannot tell, and tries once more.
func TestSilentDropOfAdaptedConnections(t *testing.T) {
	require.Root(t)                                  // CAP_NET_ADMIN
	const sentAgain = 200 * time.Millisecond * 3 / 4 // TCP_RTO_MIN, less what ticks of the kernel's clock take off
	eachWay(t, func(t *testing.T, w *world, c *http.Client, url string) {
		fe := w.pool.Frontends[0]
		drop := func() (after time.Duration, err error) {
			w.exchange(c, request(t, "GET", url+"/", nil))
			before := fe.Counters.Sum().DeniedReq
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			told, begun := make(chan error, 1), time.Now()
			go func() {
				resp, err := c.Do(request(t, "GET", url+"/dropped", nil).WithContext(ctx))
				if err == nil {
					resp.Body.Close()
					err = errors.New(resp.Status)
				}
				told <- err
			}()
			eventually(t, "the connection is dropped", func() bool { return fe.Counters.Sum().DeniedReq > before && fe.Sessions.Load() == 0 })
			select {
			case err = <-told:
				return time.Since(begun), err
			case <-time.After(20 * time.Millisecond): // what we would have sent is there at once: it is this host
			}
			cancel()
			<-told
			return 0, nil
		}
		for range 20 {
			after, err := drop()
			if err == nil {
				return
			}
			if after < sentAgain {
				t.Fatalf("the client was told after %v: %v", after, err)
			}
		}
		t.Error("the client was told each time") // a machine that stalls does not do so in each of these moments
	}, func(_ *Setup, fe, _ *config.Proxy) {
		fe.HTTPRequest = []config.HTTPRule{{Action: config.ActionSilentDrop, Cond: condition(t, "if { path /dropped }")}}
	})
}

// Bodies for clients of TLS and HTTP/2 are compressed like others, and arrive whole.
func TestCompressionOfAdaptedResponses(t *testing.T) {
	body := pattern(300 << 10)
	eachWay(t, func(t *testing.T, w *world, c *http.Client, url string) {
		r := request(t, "POST", url+"/", bytes.NewReader(body))
		r.Header.Set("Accept-Encoding", "gzip")
		resp, coded := w.exchange(c, r)
		if got := resp.Header.Get("Content-Encoding"); got != "gzip" {
			t.Fatalf("it is encoded as %q", got)
		}
		plain, err := io.ReadAll(decoded(t, config.Gzip, bytes.NewReader(coded)))
		if err != nil {
			t.Fatal(err)
		}
		sameBytes(t, plain, body)
		if n := w.pool.Frontends[0].Counters.Sum().CompResponses; n != 1 {
			t.Errorf("%d responses are counted as compressed", n)
		}
	}, func(_ *Setup, fe, _ *config.Proxy) {
		fe.Compression = &config.Compression{Codings: []config.Coding{config.Gzip}}
	})
}

// A rule replaces the timeout of the tunnel that its request becomes, and of no other.
func TestSetTimeoutOfTunnels(t *testing.T) {
	server := listen(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := readHead(r); err != nil {
			return
		}
		if _, err := io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"); err != nil {
			return
		}
		_, _ = io.Copy(struct{ io.Writer }{c}, r) // not by splice, whose pipes Go keeps
	})
	w := startText(t, ruleRow{back: []string{"http-request set-timeout tunnel req.hdr(x-ms) if { path /short }"}}, server)
	open := func(path string) *client {
		c := w.dial()
		c.send("GET " + path + " HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\nX-Ms: 30\r\n\r\n")
		if head, err := readHead(c.r); err != nil || !strings.HasPrefix(head, "HTTP/1.1 101 ") {
			t.Fatalf("%q, %v", head, err)
		}
		return c
	}
	long, from := open("/long"), time.Now()
	if got := open("/short").rest(); got != "" || time.Since(from) < 30*time.Millisecond {
		t.Errorf("%q, and the end after %v", got, time.Since(from))
	}
	long.send("x")
	if b, err := long.r.ReadByte(); b != 'x' || err != nil {
		t.Errorf("%q, %v from the other tunnel", b, err)
	}
}
