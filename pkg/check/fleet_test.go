package check

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"waggle/pkg/pool"
)

// patience is for how long a test with real connections waits for what comes within milliseconds on a machine that does not
// stall.
const patience = time.Minute

// fleet is a backend whose servers' behaviour the test decides, in virtual time.
type fleet struct {
	t       *testing.T
	pool    *pool.Pool
	backend *pool.Backend
	start   time.Time

	mu      sync.Mutex
	fail    map[string]error // by address; a nil error hangs until the timeout
	dials   []dial
	running int
	most    int
	lines   []string
}

type dial struct {
	at   time.Duration
	addr string
}

func newFleet(t *testing.T) *fleet {
	f := &fleet{t: t, pool: pool.New(1), fail: make(map[string]error), start: time.Now()}
	f.backend = f.pool.AddBackend(pool.BackendOptions{Name: "be"})
	f.pool.Observe(func(e pool.Event) {
		f.mu.Lock()
		f.lines = append(f.lines, e.Text)
		f.mu.Unlock()
	})
	return f
}

func (f *fleet) server(addr string) *pool.Server {
	o := pool.DefaultServerOptions()
	o.Name, o.Check = fmt.Sprintf("s%d", len(f.backend.Servers())+1), true
	o.Addr = netip.MustParseAddrPort(addr)
	return f.backend.AddServer(o)
}

// slot adds a server whose address comes from DNS.
func (f *fleet) slot() (*pool.Server, *pool.Group) {
	o := pool.DefaultServerOptions()
	o.Name, o.FQDN, o.Check = "web-1", "web", true
	o.Addr = netip.AddrPortFrom(netip.Addr{}, 80)
	s := f.backend.AddServer(o)
	return s, f.backend.AddGroup("web", []*pool.Server{s})
}

func (f *fleet) breakServer(addr string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail[addr] = err
}

func (f *fleet) repair(addr string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.fail, addr)
}

func (f *fleet) dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	f.mu.Lock()
	f.dials = append(f.dials, dial{time.Since(f.start), addr.String()})
	err, failing := f.fail[addr.String()]
	f.running++
	f.most = max(f.most, f.running)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.running--
		f.mu.Unlock()
	}()
	switch {
	case failing && err == nil:
		<-ctx.Done()
		return nil, ctx.Err()
	case failing:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	client, server := net.Pipe()
	server.Close()
	return client, nil
}

// times gives when an address was dialled, since the start.
func (f *fleet) times(addr string) []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []time.Duration
	for _, d := range f.dials {
		if d.addr == addr {
			out = append(out, d.at)
		}
	}
	return out
}

func (f *fleet) run(o Options, specs ...Spec) *Checker {
	o.Pool, o.Dial = f.pool, f.dial
	c := New(o)
	for _, s := range specs {
		c.Add(s)
	}
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	f.t.Cleanup(func() { cancel(); <-done })
	return c
}
