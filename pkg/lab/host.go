package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Host is one network namespace of a lab with the processes that run in it.
type Host struct {
	name    string
	addr    netip.Addr
	spawner *spawner
	opts    Options

	mu        sync.RWMutex
	ns        netns.NsHandle // closed when not open
	processes map[*Process]struct{}
}

// newHost makes a network namespace with its loopback up.
func (l *Lab) newHost(name string) (*Host, error) {
	h := &Host{name: name, spawner: l.spawner, opts: l.opts, ns: netns.None(), processes: make(map[*Process]struct{})}
	err := onThread(func() (err error) {
		h.ns, err = netns.New()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make namespace %s: %w", name, err)
	}
	if err := l.adopt(h); err != nil {
		h.close()
		return nil, err
	}
	if err := h.links(func(nl *netlink.Handle) error { return linkUp(nl, "lo") }); err != nil {
		return nil, fmt.Errorf("bring up loopback of %s: %w", name, err)
	}
	return h, nil
}

// Name is the host's name: "client", "balancer", "node", "overlay", or that of a task such as "web-1".
func (h *Host) Name() string { return h.name }

// Addr is the host's main address: that of a task on the overlay, that of the balancer on docker_gwbridge.
func (h *Host) Addr() netip.Addr { return h.addr }

// Do runs fn on a thread that is in the host's namespace. Sockets that fn opens by itself belong to that
// namespace for good; goroutines that fn starts do not. fn runs on a goroutine of its own, so it must return
// an error where a test would call t.Fatal.
func (h *Host) Do(fn func() error) error {
	return onThread(func() error {
		h.mu.RLock()
		if !h.ns.IsOpen() {
			h.mu.RUnlock()
			return fmt.Errorf("enter namespace %s: %w", h.name, net.ErrClosed)
		}
		err := netns.Set(h.ns)
		h.mu.RUnlock()
		if err != nil {
			return fmt.Errorf("enter namespace %s: %w", h.name, err)
		}
		return fn()
	})
}

// DialContext connects from inside the host's namespace. address must hold a literal IP address: names are
// not resolved. The connection is the caller's, and it keeps the namespace alive until it is closed.
func (h *Host) DialContext(ctx context.Context, network, address string) (conn net.Conn, err error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("dial from %s: %w", h.name, err)
	}
	err = h.Do(func() error {
		var d net.Dialer
		conn, err = d.DialContext(ctx, network, address)
		return err
	})
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// Listen opens a listening socket inside the host's namespace, which then lives until it is closed.
func (h *Host) Listen(network, address string) (ln net.Listener, err error) {
	err = h.Do(func() error {
		ln, err = net.Listen(network, address)
		return err
	})
	return ln, err
}

// HTTPClient returns a client that connects from inside the host's namespace, to literal addresses, with a
// new connection for each request and no redirects followed.
func (h *Host) HTTPClient() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DialContext: h.DialContext, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// links runs fn with a route netlink socket of the namespace.
func (h *Host) links(fn func(*netlink.Handle) error) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if !h.ns.IsOpen() {
		return net.ErrClosed
	}
	nl, err := netlink.NewHandleAt(h.ns, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink of %s: %w", h.name, err)
	}
	defer nl.Close()
	return fn(nl)
}

// running lists the processes of the host.
func (h *Host) running() []*Process {
	h.mu.RLock()
	defer h.mu.RUnlock()
	list := make([]*Process, 0, len(h.processes))
	for p := range h.processes {
		list = append(list, p)
	}
	return list
}

// stopAll asks the processes of the host to end, kills those that have not within grace, and waits for all.
func (h *Host) stopAll(grace time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	list := h.running()
	for _, p := range list {
		_ = p.Signal(unix.SIGTERM)
	}
	for _, p := range list {
		select {
		case <-p.Done():
		case <-ctx.Done():
		}
	}
	h.killAll()
}

func (h *Host) killAll() {
	for _, p := range h.running() {
		p.Kill()
	}
}

// close gives up the namespace, so that nothing can be started in it, and kills the host's processes.
func (h *Host) close() {
	h.mu.Lock()
	if h.ns.IsOpen() {
		_ = h.ns.Close()
	}
	h.mu.Unlock()
	h.killAll()
}

// onThread runs fn on an operating system thread that fn may move to another network namespace. A thread that
// cannot be brought back dies with its goroutine instead of serving other goroutines.
func onThread(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		result <- onLockedThread(fn)
	}()
	return <-result
}

func onLockedThread(fn func() error) (err error) {
	origin, err := netns.Get()
	if err != nil {
		return fmt.Errorf("remember namespace: %w", err)
	}
	defer func() {
		if back := netns.Set(origin); back != nil {
			err = errors.Join(err, fmt.Errorf("leave namespace: %w", back))
		} else {
			runtime.UnlockOSThread()
		}
		_ = origin.Close()
	}()
	return fn()
}
