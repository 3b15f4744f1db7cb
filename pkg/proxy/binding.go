package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"os/user"
	"strconv"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/adapter"
	"waggle/pkg/proxy/sock"
)

// binding is an address that is listened on by a configuration. Its entrance outlives it if the next one binds the same address
// in the same way.
type binding struct {
	key   bindKey
	in    *entrance
	fe    *frontend
	line  *config.Bind
	n     int    // among the frontend's, from 1
	name  string // in log lines: the line's, or its number
	limit *bindLimit
	front *adapter.Front // nil: clients speak clear text
	kept  bool           // the entrance is of the configuration before
}

// bindKey is what a listening socket cannot change while it is open.
type bindKey struct {
	addr   netip.AddrPort
	v6Only bool
	iface  string
	mode   uint32 // of a unix socket
	user   string
	group  string
	ut     time.Duration
}

func keyOf(b *config.Bind) bindKey {
	return bindKey{b.Addr, b.V6Only, b.Interface, b.Mode, b.User, b.Group, b.UserTimeout}
}

// ownerOf looks up whose the file of a unix socket is to be: names are looked for in the system's files.
func ownerOf(b *config.Bind) (o sock.Owner, err error) {
	o.User, err = idOf(b.User, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
	if err != nil {
		return o, err
	}
	o.Group, err = idOf(b.Group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
	return o, err
}

// idOf is the number of a user or group that is a name or a number; -1 for "".
func idOf(name string, lookUp func(string) (string, error)) (int, error) {
	if name == "" {
		return -1, nil
	}
	if n, err := strconv.Atoi(name); err == nil {
		return n, nil
	}
	id, err := lookUp(name)
	if err != nil {
		return -1, err
	}
	return strconv.Atoi(id)
}

// bindAll opens the addresses of a plan; those that open has are not opened again. If one fails none is left open.
func (e *Engine) bindAll(pl *plan, open []*binding) ([]*binding, error) {
	var all []*binding
	var errs []error
	taken := make(map[*binding]bool)
	for _, fe := range pl.frontends {
		for i := range fe.cfg.Binds {
			b := &binding{key: keyOf(&fe.cfg.Binds[i]), fe: fe, line: &fe.cfg.Binds[i], n: i + 1, name: fe.cfg.Binds[i].Name}
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
			} else if err := b.open(e.workers); err != nil {
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

// keep has b go on with the socket of a binding before it, and with its places if their number is the same.
func (b *binding) keep(old *binding) {
	b.kept, b.in = true, old.in
	if b.limit.sameAs(old.limit) {
		b.limit = old.limit
	}
}

// open opens the socket.
func (b *binding) open(workers []*worker) (err error) {
	owner, err := ownerOf(b.line)
	if err == nil {
		b.in, err = openEntrance(b.line.Addr, sock.ListenOptions{
			Backlog: b.fe.cfg.Backlog, V6Only: b.line.V6Only, Interface: b.line.Interface, Mode: b.line.Mode, Owner: owner, UserTimeout: b.line.UserTimeout,
		}, workers)
	}
	if err != nil {
		return &BindError{Frontend: b.fe.cfg.Name, File: b.line.Pos.File, Line: b.line.Pos.Line, Addr: b.line.Addr, Err: err}
	}
	for _, l := range b.in.listeners {
		l.serve(b)
	}
	return nil
}

// close closes a socket that no loop has begun to use.
func (b *binding) close() {
	if !b.kept && b.in != nil {
		b.in.close()
	}
}
