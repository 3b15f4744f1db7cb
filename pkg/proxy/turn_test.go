package proxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"waggle/pkg/config"
)

// crowd are clients of a server that answers one request at a time.
type crowd struct {
	t    *testing.T
	gate *gate
	line []*client // in the order in which they came
}

// come has a client connect and ask.
func (c *crowd) come(to *world) {
	cl := to.dial()
	cl.send(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: t\r\n\r\n", len(c.line)))
	c.line = append(c.line, cl)
}

// serve answers whoever is before the server, who leaves then, until all have been served, and returns who it was.
func (c *crowd) serve() (order []int) {
	for range c.line {
		var n int
		if _, err := fmt.Sscanf(c.gate.next(c.t), "GET /%d ", &n); err != nil {
			c.t.Fatal(err)
		}
		order = append(order, n)
		c.gate.answer <- struct{}{}
		if resp, _ := c.line[n].response("GET"); resp.StatusCode != 200 {
			c.t.Errorf("client %d: status %d", n, resp.StatusCode)
		}
		c.line[n].Close()
	}
	return order
}

// TestAcceptQueueOverLoops: who waits for a place of a frontend is served in the order of arrival, whichever loop has one to
// give, as with HAProxy 2.6 with one and with two threads.
func TestAcceptQueueOverLoops(t *testing.T) {
	g := newGate(t)
	w := start(t, []netip.AddrPort{g.addr}, func(s *Setup, fe, _ *config.Proxy) { fe.MaxConn, s.Loops = 1, 4 })
	c := &crowd{t: t, gate: g}
	for range 40 {
		c.come(w)
	}
	if got := c.serve(); !slices.IsSorted(got) {
		t.Errorf("served in the order %v", got)
	}
}

// TestFrontendsTakeTurns: who waits for a place of the process is not kept waiting by the clients of another frontend, however
// many they are. With HAProxy 2.6 one frontend's are all served before the first of the other's.
func TestFrontendsTakeTurns(t *testing.T) {
	g := newGate(t)
	w := start(t, []netip.AddrPort{g.addr}, func(s *Setup, fe, _ *config.Proxy) {
		s.Config.Global.MaxConn, s.Loops = 1, 2
		other := *fe
		other.Name = "other"
		s.Config.Proxies = append(s.Config.Proxies, &other)
	})
	there := *w
	there.addr = w.engine.Addrs()[1].String()
	c := &crowd{t: t, gate: g}
	for range 20 {
		c.come(w)
	}
	for range 10 {
		c.come(&there)
	}
	// One from here is served when the others come, then it is their turn, or one more from here.
	var turns strings.Builder
	last := map[bool]int{true: -1, false: -1}
	for _, n := range c.serve() {
		here := n < 20
		if n < last[here] {
			t.Errorf("client %d is served after client %d", n, last[here])
		}
		last[here] = n
		turns.WriteString(map[bool]string{true: "h", false: "t"}[here])
	}
	if got := turns.String()[:20]; strings.Contains(got[1:], "hhh") || strings.Contains(got, "tt") {
		t.Errorf("turns %s", turns.String())
	}
}

// TestLoopsHaveAboutAsMany: the kernel wakes some loops more often than others, which have what they take given to others then.
func TestLoopsHaveAboutAsMany(t *testing.T) {
	const loops, clients = 4, 200
	w := start(t, []netip.AddrPort{named(t, "a")}, func(s *Setup, _, _ *config.Proxy) { s.Loops = loops })
	for range clients {
		w.dial().get("/")
	}
	for i, info := range w.look() {
		if n := value(info, "sessions"); n < clients/loops/2 || n > clients/loops*3/2 {
			t.Errorf("loop %d has %d of %d connections", i, n, clients)
		}
	}
}

func (w *world) look() []LoopInfo {
	w.t.Helper()
	all, err := w.engine.Look(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func value(info LoopInfo, name string) uint64 {
	for _, c := range info.Counters {
		if c.Name == name {
			return c.Value
		}
	}
	return 0
}
