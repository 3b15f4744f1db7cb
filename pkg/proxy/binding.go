package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/adapter"
	"waggle/pkg/proxy/sock"
)

// binding is an address that is listened on, by one socket for each loop. It outlives configurations that bind the same
// address in the same way.
type binding struct {
	key   bindKey
	addr  netip.AddrPort // that was had; its port is the kernel's choice where the line says 0
	fe    *frontend
	line  *config.Bind
	name  string // in log lines: the line's, or its number
	limit *bindLimit
	front *adapter.Front // nil: clients speak HTTP/1, or what is not ours
	fds   []int          // by loop, until listeners have them
	kept  bool           // of the configuration before
}

// bindKey is what a listening socket cannot change while it is open.
type bindKey struct {
	addr   netip.AddrPort
	v6Only bool
	iface  string
}

func keyOf(b *config.Bind) bindKey { return bindKey{b.Addr, b.V6Only, b.Interface} }

// bindAll opens the addresses of a plan; those that open has are not opened again. If one fails none is left open.
func (e *Engine) bindAll(pl *plan, open []*binding) ([]*binding, error) {
	var all []*binding
	var errs []error
	taken := make(map[*binding]bool)
	for _, fe := range pl.frontends {
		for i := range fe.cfg.Binds {
			b := &binding{key: keyOf(&fe.cfg.Binds[i]), fe: fe, line: &fe.cfg.Binds[i], name: fe.cfg.Binds[i].Name}
			if b.name == "" {
				b.name = strconv.Itoa(i + 1)
			}
			b.limit = newBindLimit(b.line.MaxConn, fe.listener(i))
			var err error
			if b.front, err = e.newFront(fe, b.line); err != nil {
				errs = append(errs, fmt.Errorf("%s:%d: bind '%s': %w", b.line.Pos.File, b.line.Pos.Line, b.line.Addr, err))
				continue
			}
			if old := find(open, b.key, taken); old != nil {
				taken[old] = true
				b.keep(old)
			} else if err := b.open(len(e.workers)); err != nil {
				errs = append(errs, err)
			}
			all = append(all, b)
		}
	}
	if len(errs) > 0 {
		for _, b := range all {
			b.close()
		}
		return nil, errors.Join(errs...)
	}
	return all, nil
}

// listener is what is counted of the i-th bind line by itself, nil if nothing is.
func (f *frontend) listener(i int) *pool.Listener {
	if i < len(f.stats.Listeners) {
		return f.stats.Listeners[i]
	}
	return nil
}

func find(open []*binding, key bindKey, taken map[*binding]bool) *binding {
	for _, b := range open {
		if b.key == key && !taken[b] {
			return b
		}
	}
	return nil
}

// keep has b go on with the sockets of a binding before it, and with its places if their number is the same.
func (b *binding) keep(old *binding) {
	b.kept, b.addr = true, old.addr
	if b.limit.sameAs(old.limit) {
		b.limit = old.limit
	}
}

// open opens a socket for each of n loops.
func (b *binding) open(n int) error {
	addr := b.line.Addr
	for range n {
		fd, bound, err := sock.Listen(addr, sock.ListenOptions{
			Backlog: b.fe.cfg.Backlog, V6Only: b.line.V6Only, Interface: b.line.Interface,
		})
		if err != nil {
			b.close()
			return &BindError{Frontend: b.fe.cfg.Name, File: b.line.Pos.File, Line: b.line.Pos.Line, Addr: b.line.Addr, Err: err}
		}
		if len(b.fds) == 0 {
			b.addr = bound
			addr = netip.AddrPortFrom(addr.Addr(), bound.Port()) // port 0: all loops share what the first got
		}
		b.fds = append(b.fds, fd)
	}
	return nil
}

// close closes sockets that no listener has.
func (b *binding) close() {
	for _, fd := range b.fds {
		sock.Close(fd)
	}
	b.fds = nil
}

// listener gives the i-th socket to loop w.
func (b *binding) listener(w *worker, i int) *listener {
	return &listener{w: w, fe: b.fe, fd: b.fds[i], bind: b.limit, at: b, front: b.front, acceptProxy: b.line.AcceptProxy}
}
