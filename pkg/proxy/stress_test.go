package proxy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"waggle/pkg/config"
)

// register knows every request that clients have begun to send, by its identifier.
type register struct {
	last atomic.Int64
	sent sync.Map // identifiers
}

// issue returns a new identifier.
func (r *register) issue() string {
	id := strconv.FormatInt(r.last.Add(1), 10)
	r.sent.Store(id, true)
	return id
}

// fickle is an HTTP server that echoes bodies and identifiers in a framing of its choice, and closes whenever it
// likes. A request that nobody has sent is an error.
func fickle(t *testing.T, seed uint64, known *register) netip.AddrPort {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 0))
	roll := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return rng.IntN(n)
	}
	return listen(t, func(c net.Conn, r *bufio.Reader) {
		_ = c.SetDeadline(time.Now().Add(3 * patience))
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			id := req.Header.Get("X-Id")
			if _, sent := known.sent.Load(id); !sent {
				t.Errorf("a server got a request that nobody sent: %s %s %v", req.Method, req.RequestURI, req.Header)
			}
			body, err := io.ReadAll(req.Body)
			if err != nil {
				return
			}
			id = "X-Id: " + id + "\r\n"
			switch roll(4) {
			case 0:
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n"+id+"Transfer-Encoding: chunked\r\n\r\n")
				writeChunks(c, body)
			case 1:
				_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n"+id+"\r\n")
				_, _ = c.Write(body)
				return
			default:
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n", id, len(body))
				_, _ = c.Write(body)
			}
			if roll(10) == 0 {
				return // without a word, as servers do
			}
		}
	})
}

// TestManyClients has many clients of different temper at once over two loops and a short server queue:
// every answer must be the right one, and at the end everything must have been given back.
func TestManyClients(t *testing.T) {
	const clients, requests = 24, 60
	known := &register{}
	w := start(t, []netip.AddrPort{fickle(t, 1, known), fickle(t, 2, known), fickle(t, 3, known)}, func(s *Setup, fe, be *config.Proxy) {
		s.Loops = 2
		fe.Timeouts.Client, be.Timeouts.Server, be.Timeouts.Connect = 3*patience, 3*patience, 3*patience
		for i := range be.Servers {
			be.Servers[i].MaxConn = 4
		}
	})
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			tr := &http.Transport{DisableKeepAlives: i%3 == 0, MaxIdleConnsPerHost: 1}
			defer tr.CloseIdleConnections()
			hc := &http.Client{Transport: tr, Timeout: 3 * patience}
			for range requests {
				if rng.IntN(20) == 0 {
					w.rude(rng, known)
				}
				exchangeOnce(t, hc, w.addr, rng, known)
			}
		})
	}
	all.Wait()
	eventually(t, "all sessions end", func() bool { return w.engine.Sessions() == 0 })
}

// exchangeOnce sends a PUT, which may be repeated, and compares the echo.
func exchangeOnce(t *testing.T, hc *http.Client, addr string, rng *rand.Rand, known *register) {
	size := []int{0, 1, 500, 5000, 40000, 300000}[rng.IntN(6)]
	body := pattern(size)
	var reader io.Reader = bytes.NewReader(body)
	// A server may die on a kept connection under a request that is too large to be repeated, or whose end, be it an
	// empty chunk, has not come yet.
	repeated := size == 0
	if rng.IntN(3) == 0 {
		reader, repeated = struct{ io.Reader }{reader}, false // of unknown length: chunked
	}
	req, err := http.NewRequest(http.MethodPut, "http://"+addr+"/", reader)
	if err != nil {
		t.Error(err)
		return
	}
	id := known.issue()
	req.Header.Set("X-Id", id)
	resp, err := hc.Do(req)
	if err != nil {
		if repeated {
			t.Error(err)
		}
		return
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if resp.StatusCode == http.StatusBadGateway && !repeated {
		return
	}
	if echoed := resp.Header.Get("X-Id"); echoed != id {
		t.Errorf("the answer to request %s is that to %q", id, echoed)
	}
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("status %d: %d bytes of %d, %v", resp.StatusCode, len(got), len(body), err)
	}
}

// rude opens a connection, says half of something, and leaves.
func (w *world) rude(rng *rand.Rand, known *register) {
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		return
	}
	defer c.Close()
	if rng.IntN(2) == 0 {
		_ = c.(*net.TCPConn).SetLinger(0)
	}
	words := []string{"", "GET / HT",
		"PUT / HTTP/1.1\r\nHost: t\r\nX-Id: " + known.issue() + "\r\nContent-Length: 100\r\n\r\nabc",
		"GET / HTTP/1.1\r\nHost: t\r\nX-Id: " + known.issue() + "\r\n\r\n", "\x00\x01"}
	_, _ = io.WriteString(c, words[rng.IntN(len(words))])
}
