package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"waggle/pkg/proxy/sock"
)

// entrance is the listening socket of an address. All loops accept from it, so that clients who wait for a place are served in
// the order in which they came, whichever loop has one to give: as with HAProxy, whose threads share a socket, too. It lives
// for as long as configurations bind the address in the same way.
type entrance struct {
	addr      netip.AddrPort // that was had; its port is the kernel's choice where the line says 0
	listeners []*listener    // by loop; each has a descriptor of its own of the socket, so that it lets go of it on its own
	waited    atomic.Int32   // listeners that have found no place for who waits in the accept queue

	mu   sync.Mutex
	open int // loops that accept
}

// openEntrance opens the socket for all loops. The listeners have yet to be told whose they are.
func openEntrance(addr netip.AddrPort, o sock.ListenOptions, workers []*worker) (*entrance, error) {
	fd, bound, err := sock.Listen(addr, o)
	if err != nil {
		return nil, err
	}
	e := &entrance{addr: bound, open: len(workers)}
	for i, w := range workers {
		if i > 0 {
			if fd, err = sock.Duplicate(e.listeners[0].fd); err != nil {
				e.close()
				return nil, err
			}
		}
		e.listeners = append(e.listeners, &listener{w: w, fd: fd})
	}
	return e, nil
}

// close closes an entrance that no loop has begun to use.
func (e *entrance) close() {
	for _, l := range e.listeners {
		sock.Close(l.fd)
	}
}

// silence has the socket refuse connections once no loop wants any.
func (e *entrance) silence(fd int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.open--; e.open > 0 {
		return nil
	}
	return sock.Silence(fd)
}

// resume undoes silence for one loop.
func (e *entrance) resume(fd, backlog int) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := sock.Resume(fd, backlog); err != nil {
		return err
	}
	e.open++
	return nil
}
