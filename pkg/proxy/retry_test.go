package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/lab/labtest"
)

// journal notes in which order servers were asked.
type journal struct {
	mu    sync.Mutex
	asked []string
}

func (j *journal) add(s string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.asked = append(j.asked, s)
}

func (j *journal) list() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.asked)
}

// failing runs a server that notes each request with its body and answers with a text; "hang" is none at all.
func (j *journal) failing(t *testing.T, name, answer string) netip.AddrPort {
	t.Helper()
	return listen(t, answering(func(c net.Conn, _ *http.Request, body []byte) bool {
		j.add(strings.TrimSpace(name + " " + string(body)))
		if answer == "hang" {
			_, _ = io.Copy(io.Discard, c)
			return false
		}
		_, _ = io.WriteString(c, answer)
		return strings.HasPrefix(answer, "HTTP/1.1 ")
	}))
}

// TestRetryOn: which failure is repeated, where, and how often, as HAProxy 2.6 was seen to do with the same servers:
// at the same one, or with redispatch at the next.
func TestRetryOn(t *testing.T) {
	const get, post = "GET / HTTP/1.1\r\nHost: t\r\n\r\n", "POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nx=1"
	const chunked = "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nx=1\r\n0\r\n\r\n"
	busy := "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"
	four := func(s string) []string { return []string{s, s, s, s} }
	for _, tc := range []struct {
		name, answer string
		on           config.RetryOn
		redispatch   bool
		retries      int
		request      string
		status       int
		asked        []string
	}{
		{"a status that is not named", busy, config.RetryConnFailure, true, 3, get, 503, []string{"a"}},
		{"none at all", busy, 0, true, 3, get, 503, []string{"a"}},
		{"a status", busy, config.RetryStatus(503), false, 3, get, 503, four("a")},
		{"a status, elsewhere", busy, config.RetryStatus(503), true, 3, get, 200, []string{"a", "b"}},
		{"another status", busy, config.RetryStatus(500), true, 3, get, 503, []string{"a"}},
		{"no retries", busy, config.RetryStatus(503), true, 0, get, 503, []string{"a"}},
		{"a body goes again", busy, config.RetryStatus(503), true, 3, post, 200, []string{"a x=1", "b x=1"}},
		{"chunks go again", busy, config.RetryStatus(503), true, 3, chunked, 200, []string{"a x=1", "b x=1"}},
		{"nothing", "", config.RetryEmptyResponse, true, 3, get, 200, []string{"a", "b"}},
		{"nothing, the same server", "", config.RetryEmptyResponse, false, 3, get, 502, four("a")},
		{"nothing, not named", "", config.RetryConnFailure, true, 3, get, 502, []string{"a"}},
		{"half a head", "HTTP/1.0 20", config.RetryEmptyResponse, true, 3, get, 502, []string{"a"}},
		{"junk", "hello\r\n\r\n", config.RetryJunkResponse, true, 3, get, 200, []string{"a", "b"}},
		{"junk, the same server", "hello\r\n\r\n", config.RetryJunkResponse, false, 3, get, 502, four("a")},
		{"junk, not named", "hello\r\n\r\n", config.RetryEmptyResponse, true, 3, get, 502, []string{"a"}},
		{"silence", "hang", config.RetryResponseTimeout, true, 3, get, 200, []string{"a", "b"}},
		{"silence, the same server", "hang", config.RetryResponseTimeout, false, 1, get, 504, []string{"a", "a"}},
		{"silence, not named", "hang", config.RetryEmptyResponse, true, 3, get, 504, []string{"a"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var j journal
			good := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
			w := start(t, []netip.AddrPort{j.failing(t, "a", tc.answer), j.failing(t, "b", good)}, func(_ *Setup, fe, be *config.Proxy) {
				be.RetryOn, be.Retries, be.Options.Redispatch = tc.on, tc.retries, tc.redispatch
				be.Options.RedispatchInterval = -1
				fe.Timeouts.Client, be.Timeouts.Server = never, soon
			})
			c := w.dial()
			c.send(tc.request)
			for n := 1; tc.answer == "hang" && n <= len(tc.asked) && tc.asked[n-1] == "a"; n++ {
				eventually(t, "the server is asked", func() bool { return len(j.list()) == n })
				w.skip(soon)
			}
			if resp, _ := c.response("GET"); resp.StatusCode != tc.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tc.status)
			}
			if got := j.list(); !slices.Equal(got, tc.asked) {
				t.Errorf("asked %q, want %q", got, tc.asked)
			}
			sum := w.pool.Backend("be").Counters.Sum()
			if got, want := sum.Retries+sum.Redispatches, uint64(len(tc.asked)-1); got != want {
				t.Errorf("counted %d retries, want %d", got, want)
			}
		})
	}
}

// TestRetryNeedsTheWholeRequest: what no buffer holds any more is not sent again.
func TestRetryNeedsTheWholeRequest(t *testing.T) {
	body := strings.Repeat("x", 100_000)
	var j journal
	w := start(t, []netip.AddrPort{j.failing(t, "a", "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"), j.failing(t, "b", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")},
		func(_ *Setup, _, be *config.Proxy) { be.RetryOn, be.Options.Redispatch = config.RetryStatus(503), true })
	c := w.dial()
	c.send(fmt.Sprintf("PUT / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	if resp, _ := c.response("PUT"); resp.StatusCode != 503 {
		t.Errorf("status %d", resp.StatusCode)
	}
	if got := len(j.list()); got != 1 {
		t.Errorf("asked %d times", got)
	}
}

// TestDisableL7Retry is the rule for requests that must not be sent twice.
func TestDisableL7Retry(t *testing.T) {
	var j journal
	w := start(t, []netip.AddrPort{j.failing(t, "a", "")}, func(_ *Setup, _, be *config.Proxy) {
		be.RetryOn = config.RetryEmptyResponse
		be.HTTPRequest = []config.HTTPRule{{Action: config.ActionDisableRetry}}
	})
	if status, _ := w.dial().get("/"); status != 502 {
		t.Errorf("status %d", status)
	}
	if got := len(j.list()); got != 1 {
		t.Errorf("asked %d times", got)
	}
}

// TestRetryOnNoneRefused: not even a refused connection is tried again.
func TestRetryOnNoneRefused(t *testing.T) {
	w := start(t, []netip.AddrPort{labtest.ClosedAddr(t)}, func(_ *Setup, _, be *config.Proxy) { be.RetryOn = 0 })
	for tries := uint64(1); ; tries++ {
		began := time.Now()
		if status, _ := w.dial().get("/"); status != 503 {
			t.Errorf("status %d", status)
		}
		if got := w.pool.Backend("be").Counters.Sum().Connects; got != tries {
			t.Fatalf("%d attempts for %d requests", got, tries)
		}
		if took := time.Since(began); took < turnaround {
			return
		} else if tries == 5 { // a machine that stalls is not so slow each time
			t.Fatalf("took %s", took)
		}
	}
}
