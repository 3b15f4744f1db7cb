package check_test

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"waggle/pkg/check"
	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/resolver"
)

// overlay is a Swarm network in virtual time: which tasks DNS knows, and which of them listen.
type overlay struct {
	mu        sync.Mutex
	known     []string
	listening map[string]bool
}

func (o *overlay) set(fn func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fn()
}

func (o *overlay) exchange(_ context.Context, q resolver.Query) (*dns.Msg, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	reply := new(dns.Msg).SetReply(q.Msg)
	if len(o.known) == 0 {
		return reply.SetRcode(q.Msg, dns.RcodeNameError), nil
	}
	for _, a := range o.known {
		reply.Answer = append(reply.Answer, &dns.A{
			Hdr: dns.RR_Header{Name: q.Msg.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 600}, A: net.ParseIP(a),
		})
	}
	return reply, nil
}

func (o *overlay) dial(_ context.Context, addr netip.AddrPort) (net.Conn, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.listening[addr.Addr().String()] {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	client, server := net.Pipe()
	server.Close()
	return client, nil
}

// follow runs discovery and checks of a backend like the seed's until the test ends.
func (o *overlay) follow(t *testing.T) *pool.Backend {
	p := pool.New(1)
	b := p.AddBackend(pool.BackendOptions{Name: "web_service"})
	hold := 10 * time.Second
	res := resolver.New(&config.Resolvers{
		Name: "docker", Nameservers: []config.Nameserver{{Name: "dns1", Addr: netip.MustParseAddrPort("127.0.0.11:53")}},
		Retries: 3, TimeoutResolve: time.Second, TimeoutRetry: time.Second,
		Hold: config.Hold{NX: hold, Other: hold, Refused: hold, Timeout: hold, Valid: hold, Obsolete: hold},
	}, resolver.Options{Exchange: o.exchange})
	checker := check.New(check.Options{Pool: p, Dial: o.dial})
	var slots []*pool.Server
	for _, name := range []string{"web-1", "web-2", "web-3"} {
		so := pool.DefaultServerOptions()
		so.Name, so.FQDN, so.Check, so.Addr = name, "web", true, netip.AddrPortFrom(netip.Addr{}, 8000)
		s := b.AddServer(so)
		slots = append(slots, s)
		checker.Add(check.Spec{Server: s, Options: config.CheckOptions{Enabled: true}})
	}
	res.Add(b.AddGroup("web", slots), resolver.Want{})

	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { res.Run(ctx) })
	running.Go(func() { checker.Run(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	return b
}

func statuses(b *pool.Backend) string {
	var out []string
	for _, s := range b.Servers() {
		out = append(out, s.View().Status)
	}
	return strings.Join(out, ", ")
}

// TestScaleFromZero: tasks are in DNS 0.7 s before they listen, and all take traffic within 3 s of
// being deployed, whatever the phase of the cycles.
func TestScaleFromZero(t *testing.T) {
	for phase := time.Duration(0); phase < 2*time.Second; phase += 130 * time.Millisecond {
		t.Run(phase.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := &overlay{}
				b := o.follow(t)
				time.Sleep(20*time.Second + phase)
				tasks := []string{"10.0.1.3", "10.0.1.4", "10.0.1.5"}
				o.set(func() { o.known = tasks })
				time.Sleep(700 * time.Millisecond)
				o.set(func() { o.listening = map[string]bool{tasks[0]: true, tasks[1]: true, tasks[2]: true} })
				time.Sleep(2300 * time.Millisecond)
				synctest.Wait()
				if len(b.Snapshot().Targets) != 3 {
					t.Errorf("after 3 s: %s", statuses(b))
				}
			})
		})
	}
}

// TestRollingUpdate: Swarm takes a task out of DNS 2 s before it stops it, and starts the next one
// afterwards. At no moment is a task used that does not listen any more.
func TestRollingUpdate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := []string{"10.0.1.3", "10.0.1.4", "10.0.1.5"}
		o := &overlay{known: old, listening: map[string]bool{old[0]: true, old[1]: true, old[2]: true}}
		b := o.follow(t)
		time.Sleep(5 * time.Second)
		watch := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
				for _, target := range b.Snapshot().Targets {
					addr := target.Addr.Addr().String()
					o.set(func() {
						if listens, known := o.listening[addr]; known && !listens {
							t.Errorf("%s is used after it was stopped", addr)
						}
					})
				}
			}
		}
		for i, next := range []string{"10.0.1.6", "10.0.1.7", "10.0.1.8"} {
			o.set(func() { o.known = slices.Clone(o.known[1:]) })
			watch(2 * time.Second)
			o.set(func() { o.listening[old[i]] = false })
			watch(time.Second)
			o.set(func() { o.known = append(o.known, next) })
			watch(300 * time.Millisecond)
			o.set(func() { o.listening[next] = true })
			watch(5 * time.Second)
			if got := statuses(b); got != "UP, UP, UP" {
				t.Fatalf("after task %d: %s", i+1, got)
			}
		}
	})
}
