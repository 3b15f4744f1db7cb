package proxy

import (
	"net/netip"
	"sync"
	"sync/atomic"

	"waggle/pkg/proxy/sock"
	"waggle/pkg/unixaddr"
)

// entrance is the listening socket of an address. All loops accept from it, so that clients who wait for a place are served in
// the order in which they came, whichever loop has one to give: as with HAProxy, whose threads share a socket, too. It lives
// for as long as configurations bind the address in the same way.
type entrance struct {
	addr      netip.AddrPort // that was had; its port is the kernel's choice where the line says 0
	listeners []*listener    // by loop; each has a descriptor of its own of the socket, so that it lets go of it on its own
	options   sock.ListenOptions
	waited    atomic.Int32 // listeners that have found no place for who waits in the accept queue

	mu   sync.Mutex
	open int // loops that accept
	anew int // of a unix socket: the descriptor that was opened when it was resumed
}

// openEntrance opens the socket for all loops. The listeners have yet to be told whose they are.
func openEntrance(addr netip.AddrPort, o sock.ListenOptions, workers []*worker) (*entrance, error) {
	fd, bound, err := sock.Listen(addr, o)
	if err != nil {
		return nil, err
	}
	e := &entrance{addr: bound, options: o, open: len(workers)}
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
	again := sock.Resume
	if unixaddr.Is(e.addr.Addr()) {
		again = e.renew
	}
	if err := again(fd, backlog); err != nil {
		return err
	}
	e.open++
	return nil
}

// renew has a descriptor be one of another socket: a unix socket that has refused connections does so for ever (unix(7),
// shutdown(2)).
func (e *entrance) renew(fd, backlog int) error {
	if e.open > 0 {
		return sock.Replace(e.anew, fd)
	}
	o := e.options
	o.Backlog = backlog
	another, _, err := sock.Listen(e.addr, o)
	if err != nil {
		return err
	}
	defer sock.Close(another)
	e.anew = fd
	return sock.Replace(another, fd)
}
