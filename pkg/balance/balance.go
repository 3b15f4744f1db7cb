// Package balance chooses the server of a new session. One file holds one algorithm; the schedule that
// round robin walks is the one that the kernel path walks too.
package balance

import (
	"fmt"
	"net/netip"

	"waggle/pkg/pool"
)

// Request is what an algorithm may look at.
type Request struct {
	Src netip.Addr
	// Hash is that of the session's key, for the algorithms that go by one, where Hashed says that it has one.
	Hash   uint32
	Hashed bool
	// Avoid is a server that has just failed this session; it is chosen only when no other can be.
	Avoid *pool.Server
}

// Algorithm chooses servers for one backend. Implementations are safe for concurrent use and do not
// block.
type Algorithm interface {
	// Pick chooses a server and acquires a session of it, which the caller gives back with
	// [pool.Server.Release]. It returns false when no server is usable or all are at their maxconn.
	Pick(Request) (pool.Target, bool)
}

// Binder is an algorithm that may choose a server although it is full: a session waits for that server then.
type Binder interface {
	// Bound returns the server that the session waits for if Pick finds no room, nil for any.
	Bound(Request) *pool.Server
}

// Continuer is an algorithm that goes on where another one of its kind is, after a reload for instance.
type Continuer interface {
	Continue(from Algorithm)
}

// Spec is what the lines `balance`, `hash-type` and `hash-balance-factor` say.
type Spec struct {
	// Name is the algorithm's. The empty one is round robin, which is HAProxy's default up to 3.2.
	Name string
	Args []string
	// Consistent and Factor are of the algorithms that go by a key: map-based otherwise, and without a bound.
	Consistent bool
	Factor     int // percent
}

// New returns the algorithm that a backend's lines name.
func New(spec Spec, b *pool.Backend) (Algorithm, error) {
	switch name := spec.Name; name {
	case "", "roundrobin", "static-rr":
		return newRoundRobin(b, name), nil
	case "leastconn":
		return &leastConn{backend: b}, nil
	case "first":
		return &first{backend: b}, nil
	case "random":
		return newRandom(b, spec.Args)
	case "source":
		return newSource(b), nil
	case "uri", "url_param", "hdr", "hash":
		if spec.Consistent {
			return &ring{backend: b, factor: spec.Factor}, nil
		}
		return newMapped(b), nil
	default:
		return nil, fmt.Errorf("unknown balancing algorithm %q", name)
	}
}

// Deterministic says whether an algorithm's next choice for the same session means something: it is the same server,
// or the best one. Of the others any is as good (HAProxy configuration manual, option redispatch).
func Deterministic(name string) bool {
	switch name {
	case "leastconn", "first", "source", "uri", "url_param", "hdr", "hash":
		return true
	}
	return false
}

// acquire takes a session of t unless it is the one to avoid.
func acquire(t pool.Target, avoid *pool.Server) bool {
	return t.Server != avoid && t.Server.Take()
}

// lastResort takes a session of the server to avoid, for when no other could be had.
func lastResort(targets []pool.Target, avoid *pool.Server) (pool.Target, bool) {
	if avoid == nil {
		return pool.Target{}, false
	}
	for _, t := range targets {
		if t.Server == avoid && avoid.Take() {
			return t, true
		}
	}
	return pool.Target{}, false
}
