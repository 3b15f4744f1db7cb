package resolver_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/resolver"
)

// answer is how the fake nameserver behaves for a name.
type answer struct {
	addrs  []string
	rcode  int
	silent bool          // never answers
	broken bool          // cannot be reached
	delay  time.Duration // before it answers
	srv    []string      // service records in zone file form, for queries of that type
	extra  []string      // the additional section
}

func tasks(addrs ...string) answer { return answer{addrs: addrs} }

var (
	nodata   = answer{}
	nxdomain = answer{rcode: dns.RcodeNameError}
	servfail = answer{rcode: dns.RcodeServerFailure}
	refused  = answer{rcode: dns.RcodeRefused}
	silent   = answer{silent: true}
)

// fakeDNS is a set of nameservers in memory. Answers are by nameserver port and name.
type fakeDNS struct {
	mu      sync.Mutex
	answers map[uint16]answer // by the nameserver's port; 0 is any
	names   map[string]answer // by the absolute name, before answers
	aaaa    []string
	queries []question
}

type question struct {
	at   time.Time
	name string
	typ  uint16
	port uint16
}

func (f *fakeDNS) set(port uint16, a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answers == nil {
		f.answers = make(map[uint16]answer)
	}
	f.answers[port] = a
}

// setName decides what any nameserver says of one name.
func (f *fakeDNS) setName(name string, a answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names == nil {
		f.names = make(map[string]answer)
	}
	f.names[name] = a
}

func (f *fakeDNS) asked() []question {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.queries
}

func (f *fakeDNS) exchange(ctx context.Context, q resolver.Query) (*dns.Msg, error) {
	f.mu.Lock()
	f.queries = append(f.queries, question{time.Now(), q.Msg.Question[0].Name, q.Msg.Question[0].Qtype, q.Server.Port()})
	a, ok := f.answers[q.Server.Port()]
	if !ok {
		a = f.answers[0]
	}
	if named, ok := f.names[q.Msg.Question[0].Name]; ok {
		a = named
	}
	aaaa := f.aaaa
	f.mu.Unlock()

	switch {
	case a.broken:
		return nil, errors.New("connection refused")
	case a.silent:
		<-ctx.Done()
		return nil, ctx.Err()
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(a.delay + time.Millisecond):
	}
	reply := new(dns.Msg).SetRcode(q.Msg, a.rcode)
	name, typ := q.Msg.Question[0].Name, q.Msg.Question[0].Qtype
	if typ == dns.TypeAAAA {
		a.addrs = aaaa
	}
	if typ == dns.TypeSRV {
		a.addrs = nil
		for _, text := range a.srv {
			reply.Answer = append(reply.Answer, record(text))
		}
		for _, text := range a.extra {
			reply.Extra = append(reply.Extra, record(text))
		}
	}
	for _, addr := range a.addrs {
		h := dns.RR_Header{Name: name, Rrtype: typ, Class: dns.ClassINET, Ttl: 600}
		if typ == dns.TypeAAAA {
			reply.Answer = append(reply.Answer, &dns.AAAA{Hdr: h, AAAA: net.ParseIP(addr)})
		} else {
			reply.Answer = append(reply.Answer, &dns.A{Hdr: h, A: net.ParseIP(addr)})
		}
	}
	return reply, nil
}

func record(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}

// seedSection is the resolvers section of the seed.
func seedSection() *config.Resolvers {
	s := 10 * time.Second
	return &config.Resolvers{
		Name:        "docker",
		Nameservers: []config.Nameserver{{Name: "dns1", Addr: netip.MustParseAddrPort("127.0.0.11:53")}},
		Retries:     3, TimeoutResolve: time.Second, TimeoutRetry: time.Second,
		Hold: config.Hold{NX: s, Other: s, Refused: s, Timeout: s, Valid: s, Obsolete: s},
	}
}

// swarm is a backend whose slots follow a fake DNS in virtual time.
type swarm struct {
	t       *testing.T
	dns     *fakeDNS
	pool    *pool.Pool
	backend *pool.Backend
	group   *pool.Group
	res     *resolver.Resolver
	options swarmOptions
	stop    func() // ends res
	started time.Time

	mu    sync.Mutex
	lines []string // what the pool logged
	texts []string // what the resolver logged
}

type swarmOptions struct {
	resolver.Options
	section *config.Resolvers
	slots   int
	noCheck bool
	name    string
	want    resolver.Want
	first   answer // before the first cycle
}

// newSwarm starts a swarm; it must be called inside a synctest bubble, and ends with it.
func newSwarm(t *testing.T, o swarmOptions) *swarm {
	if o.section == nil {
		o.section = seedSection()
	}
	if o.slots == 0 {
		o.slots = 3
	}
	if o.name == "" {
		o.name = "web"
	}
	s := &swarm{t: t, dns: &fakeDNS{}, pool: pool.New(1), started: time.Now()}
	s.dns.set(0, o.first)
	s.pool.Observe(func(e pool.Event) {
		s.mu.Lock()
		s.lines = append(s.lines, e.Text)
		s.mu.Unlock()
	})
	s.backend = s.pool.AddBackend(pool.BackendOptions{Name: "web_service"})
	var servers []*pool.Server
	for i := range o.slots {
		so := pool.DefaultServerOptions()
		so.Name, so.FQDN, so.Check = "web-"+string(rune('1'+i)), o.name, !o.noCheck
		so.Addr = netip.AddrPortFrom(netip.Addr{}, 8000)
		servers = append(servers, s.backend.AddServer(so))
	}
	s.group = s.backend.AddGroup(o.name, servers)
	o.Options.Exchange = s.dns.exchange
	o.Options.Logger = slog.New(slog.NewTextHandler(s, nil))
	s.res, s.options = resolver.New(o.section, o.Options), o
	s.res.Add(s.group, o.want)

	s.stop = runUntilCleanup(t, s.res)
	return s
}

// reload has another resolver go on where the one before is.
func (s *swarm) reload() {
	next := resolver.New(s.options.section, s.options.Options)
	next.Add(s.group, s.options.want)
	next.Inherit(s.res)
	s.stop()
	s.res, s.stop = next, runUntilCleanup(s.t, next)
}

// Write takes the resolver's log lines.
func (s *swarm) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts = append(s.texts, string(p))
	return len(p), nil
}

// logged says whether the pool logged a line, and forgets all lines before it.
func (s *swarm) logged(line string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, l := range s.lines {
		if l == line {
			s.lines = s.lines[i+1:]
			return true
		}
	}
	return false
}

func (s *swarm) wantLogged(lines ...string) {
	s.t.Helper()
	for _, l := range lines {
		if !s.logged(l) {
			s.t.Errorf("not logged: %q; log is now:\n%s", l, strings.Join(s.lines, "\n"))
		}
	}
}

// check reports passed checks for every server that would be checked.
func (s *swarm) check(status pool.CheckStatus, times int) {
	for range times {
		for _, srv := range s.backend.Servers() {
			srv.ReportCheck(pool.CheckResult{Status: status})
		}
	}
}

// states gives address and status of each slot, e.g. "10.0.0.1 UP 1/3, - MAINT (resolution)".
func (s *swarm) states() string {
	var out []string
	for _, srv := range s.backend.Servers() {
		v := srv.View()
		addr := "-"
		if v.Addr.Addr().IsValid() {
			addr = v.Addr.Addr().String()
		}
		if v.Leaving {
			addr += " leaving"
		}
		out = append(out, addr+" "+v.Status)
	}
	return strings.Join(out, ", ")
}

// targets gives the addresses that new sessions may go to.
func (s *swarm) targets() string {
	var out []string
	for _, t := range s.backend.Snapshot().Targets {
		out = append(out, t.Addr.Addr().String())
	}
	return strings.Join(out, " ")
}

// after lets virtual time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// within waits, at most d, until cond holds and returns how long it took.
func (s *swarm) within(d time.Duration, what string, cond func() bool) time.Duration {
	s.t.Helper()
	start := time.Now()
	for {
		synctest.Wait()
		if cond() {
			return time.Since(start)
		}
		if time.Since(start) >= d {
			s.t.Fatalf("%s: not within %v; states: %s; targets: %s", what, d, s.states(), s.targets())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (s *swarm) wantStates(want string) {
	s.t.Helper()
	synctest.Wait()
	if got := s.states(); got != want {
		s.t.Errorf("states at %v:\n got %s\nwant %s", time.Since(s.started), got, want)
	}
}

func (s *swarm) wantTargets(want string) {
	s.t.Helper()
	synctest.Wait()
	if got := s.targets(); got != want {
		s.t.Errorf("targets at %v: got %q, want %q", time.Since(s.started), got, want)
	}
}

// runUntilCleanup runs a resolver until stop is called or the test ends. It begins when the test first lets virtual time pass:
// what the test does to the nameservers before that holds for the first query.
func runUntilCleanup(t *testing.T, res *resolver.Resolver) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		time.Sleep(time.Nanosecond)
		res.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}
