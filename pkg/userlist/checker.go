package userlist

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"sync"

	"waggle/pkg/userlist/crypt3"
)

// The bounds of what is remembered, and of what waits to be found out.
const (
	maxRight   = 4096 // passwords that were right
	maxWrong   = 1024 // and that were wrong: whoever sends those pushes out nothing else
	maxWaiting = 64
	maxOfOne   = 16 // of one client: whoever tries out passwords keeps no others from giving theirs
)

// Checker finds out whether passwords are right, which for a hash takes milliseconds of a CPU: one at a time, by a goroutine that
// there is only while something waits. It remembers what it found out by a keyed hash, so that neither passwords nor anything that
// they could be guessed from faster stay in memory. Its methods may be called from any goroutine.
type Checker struct {
	key [sha256.Size]byte

	mu           sync.Mutex
	right, wrong memory
	waiting      []work
	busy         bool
	done         sync.WaitGroup
	closed       bool
	hash         func(*crypt3.Hash, []byte) bool // Hash.Match, in another way in tests
}

type work struct {
	user     *User
	password []byte
	id       digest
	client   netip.Prefix
	then     func()
}

type digest [sha256.Size]byte

// NewChecker returns a Checker, which the caller closes.
func NewChecker() *Checker {
	c := &Checker{right: memory{most: maxRight}, wrong: memory{most: maxWrong}, hash: (*crypt3.Hash).Match}
	rand.Read(c.key[:]) // never fails (Go 1.24)
	return c
}

// Known says whose credentials these are, nil for nobody's, where that can be said at once; otherwise known is false, and Check
// finds it out.
func (c *Checker) Known(l *List, name, password []byte) (u *User, known bool) {
	u = l.Users[string(name)]
	switch {
	case u == nil || u.Locked || len(password) > crypt3.MaxPassword:
		return nil, true
	case u.Hash == nil:
		if !u.matches(password) {
			return nil, true
		}
		return u, true
	}
	id := c.digest(u, password)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.right.has(id):
		return u, true
	case c.wrong.has(id):
		return nil, true
	}
	return nil, false
}

// Check finds out what Known does not know, and then calls then, from another goroutine. It is false, and then is never called,
// if too many wait already, of all clients or of the one that asks: an IPv4 address, or an IPv6 network of 64 bits, which is what a
// customer has. The password is copied.
func (c *Checker) Check(l *List, name, password []byte, client netip.Addr, then func()) bool {
	u := l.Users[string(name)]
	if u == nil || u.Hash == nil {
		return false
	}
	w := work{user: u, password: append([]byte(nil), password...), id: c.digest(u, password), client: network(client), then: then}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.waiting) >= maxWaiting || c.waitingOf(w.client) >= maxOfOne {
		return false
	}
	c.waiting = append(c.waiting, w)
	if !c.busy {
		c.busy = true
		c.done.Go(c.run)
	}
	return true
}

func (c *Checker) waitingOf(client netip.Prefix) (n int) {
	for i := range c.waiting {
		if c.waiting[i].client == client {
			n++
		}
	}
	return n
}

func network(client netip.Addr) netip.Prefix {
	bits := 64
	if client = client.Unmap(); client.Is4() {
		bits = 32
	}
	p, _ := client.Prefix(bits) // that of no address is no network, which is one client too
	return p
}

// Close waits for the password in hand and forgets those that wait.
func (c *Checker) Close() {
	c.mu.Lock()
	c.closed, c.waiting = true, nil
	c.mu.Unlock()
	c.done.Wait()
}

// run works until nothing waits.
func (c *Checker) run() {
	for {
		c.mu.Lock()
		if len(c.waiting) == 0 {
			c.busy, c.waiting = false, nil
			c.mu.Unlock()
			return
		}
		w := c.waiting[0]
		c.waiting = c.waiting[1:]
		seen := c.right.has(w.id) || c.wrong.has(w.id) // found out for another request of the same client
		c.mu.Unlock()
		if !seen {
			c.note(w.id, c.hash(w.user.Hash, w.password))
		}
		w.then()
	}
}

func (c *Checker) note(id digest, right bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if right {
		c.right.add(id)
	} else {
		c.wrong.add(id)
	}
}

// digest stands for a password and the hash that it was compared with, so that a changed hash is another question.
func (c *Checker) digest(u *User, password []byte) (d digest) {
	h := hmac.New(sha256.New, c.key[:])
	var n [8]byte
	for _, part := range [][]byte{[]byte(u.Hash.String()), password} {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	h.Sum(d[:0])
	return d
}

// memory keeps the last digests, at least half of most and never more than that.
type memory struct {
	most        int
	young, aged map[digest]struct{}
}

func (m *memory) has(d digest) bool {
	if _, ok := m.young[d]; ok {
		return true
	}
	_, ok := m.aged[d]
	if ok { // what is asked for stays
		m.add(d)
	}
	return ok
}

func (m *memory) add(d digest) {
	if m.young == nil || len(m.young) >= m.most/2 {
		m.aged, m.young = m.young, make(map[digest]struct{})
	}
	m.young[d] = struct{}{}
}
