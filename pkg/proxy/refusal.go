package proxy

import (
	"bytes"
	"net/netip"
	"sort"
	"sync"
	"time"

	"waggle/pkg/proxy/h1"
)

// Capture is a message that was refused because it is not HTTP, for `show errors`.
type Capture struct {
	At                        time.Time
	Event                     uint64 // its number among all, from 0 on
	Response                  bool
	Frontend, Backend, Server string // "" for none
	Src                       netip.AddrPort
	Reason                    string // in words
	Size                      int    // of a buffer
	Data                      []byte // all that had come: at most a buffer
	Position                  int    // the byte that cannot be there, as far as is known
}

// refusals keeps the last malformed request of each frontend and the last malformed response of each backend, as HAProxy
// does: no more, whatever peers send.
type refusals struct {
	mu     sync.Mutex
	total  uint64
	last   map[refusalKey]Capture
	limits h1.Limits
}

type refusalKey struct {
	proxy    string
	response bool
}

func (c *refusals) note(m Capture) {
	key := refusalKey{m.Frontend, m.Response}
	if m.Response {
		key.proxy = m.Backend
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.Event = c.total
	c.total++
	if c.last == nil {
		c.last = make(map[refusalKey]Capture)
	}
	m.Data = bytes.Clone(m.Data)
	c.last[key] = m
}

// keep forgets proxies that there are no more.
func (c *refusals) keep(pl *plan) {
	names := make(map[string]bool)
	for _, f := range pl.frontends {
		names[f.cfg.Name] = true
	}
	for name := range pl.backends {
		names[name] = true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.last {
		if !names[key.proxy] {
			delete(c.last, key)
		}
	}
}

// Captured returns how many malformed messages there have been, and the last ones of each proxy, the oldest first.
func (e *Engine) Captured() (total uint64, all []Capture) {
	c := &e.refusals
	c.mu.Lock()
	for _, m := range c.last {
		all = append(all, m)
	}
	total = c.total
	c.mu.Unlock()
	sort.Slice(all, func(i, j int) bool { return all[i].Event < all[j].Event })
	for i := range all {
		all[i].Position = c.position(&all[i])
	}
	return total, all
}

// position finds the first byte at which the message is refused. What is refused stays so with more bytes, so it can be
// searched for.
func (c *refusals) position(m *Capture) int {
	return sort.Search(len(m.Data), func(n int) bool {
		if m.Response {
			resp := h1.Response{}
			resp.Limits = c.limits
			_, why := resp.Parse(m.Data[:n+1], h1.Asked{Method: h1.MethodGet})
			return why != h1.OK
		}
		req := h1.Request{}
		req.Limits = c.limits
		_, why := req.Parse(m.Data[:n+1])
		return why != h1.OK
	})
}

// captureRequest keeps the request that has just been refused.
func (s *session) captureRequest(why h1.Reason) {
	s.w.e.refusals.note(Capture{
		At: time.Now(), Frontend: s.fe.cfg.Name, Src: s.src, Reason: why.Error(), Size: s.w.buffers.size, Data: s.client.in.bytes(),
	})
}

// captureResponse keeps the response that has just been refused.
func (s *session) captureResponse(why h1.Reason) {
	m := Capture{
		At: time.Now(), Response: true, Frontend: s.fe.cfg.Name, Backend: s.be.cfg.Name, Src: s.src,
		Reason: why.Error(), Size: s.w.buffers.size, Data: s.link.in.bytes(),
	}
	if t := s.target.Server; t != nil {
		m.Server = t.Name
	}
	s.w.e.refusals.note(m)
}
