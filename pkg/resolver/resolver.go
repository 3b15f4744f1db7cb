package resolver

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// Options are what a resolver needs beside its section. The zero value works on the real network.
type Options struct {
	// HAProxyHold makes discovery behave as in HAProxy and nothing more (--dns-hold=haproxy): no leaving
	// servers, none kept by their health checks, no subnet guard.
	HAProxyHold bool
	// LocalSubnets gives the subnets that are attached now. Names that must be Swarm tasks resolve to
	// nothing outside them. Nil, or an empty answer, refuses nothing. Called from several goroutines.
	LocalSubnets func() []netip.Prefix
	// Logger gets what people should know about names and nameservers; nil is silence. Changes of
	// servers are the pool's to report.
	Logger *slog.Logger
	// Exchange speaks to nameservers; nil is the network. Called from several goroutines.
	Exchange Exchange
	// ReadFile reads /etc/resolv.conf for parse-resolv-conf; nil is os.ReadFile.
	ReadFile func(name string) ([]byte, error)
}

// Want is what the servers of a group want of their name.
type Want struct {
	// Prefer is `resolve-prefer`. With "ipv6" AAAA is asked first and A only if there is no AAAA;
	// otherwise only A is asked, since Swarm has no other records.
	Prefer string
	// Nets is `resolve-net`: addresses inside take slots before others do.
	Nets []netip.Prefix
	// IgnoreWeight is `resolve-opts ignore-weight`, of service records.
	IgnoreWeight bool
}

// minPayload is the least answer size announced by EDNS0. It fits about 250 A records; Docker's DNS is
// on the loopback, where fragments are no concern.
const minPayload = 4096

// minPause is the least pause between cycles of one name, whatever the configuration says.
const minPause = 100 * time.Millisecond

// Resolver resolves all names of one `resolvers` section.
//
// Inherit from another one before Run, which is called once. The other methods may be called at any time, from any goroutine.
type Resolver struct {
	section     *config.Resolvers
	opts        Options
	log         *slog.Logger
	size        uint16 // announced answer size, bytes
	nameservers []*nameserver
	totals      *totals

	mu      sync.Mutex
	lookups []*lookup
	begin   func(*lookup, time.Duration) // has a lookup run after a delay; nil before Run, and when it ends
}

// server is where a nameserver is.
type server struct {
	addr netip.AddrPort
	tcp  bool // asked over TCP only
}

// New returns a resolver for a section. It reads /etc/resolv.conf if the section says so; an
// unreadable file is logged and otherwise the same as an empty one.
func New(section *config.Resolvers, opts Options) *Resolver {
	if opts.Exchange == nil {
		opts.Exchange = network
	}
	if opts.ReadFile == nil {
		opts.ReadFile = os.ReadFile
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Resolver{
		section: section, opts: opts, log: opts.Logger.With("resolvers", section.Name),
		totals: &totals{},
		size:   uint16(min(max(minPayload, section.PayloadSize), maxMessage)),
	}
	for _, ns := range section.Nameservers {
		r.addNameserver(ns.Name, server{ns.Addr, ns.TCP})
	}
	if section.ParseResolvConf {
		r.addResolvConf()
	}
	if len(r.nameservers) == 0 {
		r.log.Warn("no nameserver, nothing can be resolved")
	}
	return r
}

func (r *Resolver) addNameserver(name string, where server) {
	r.nameservers = append(r.nameservers, &nameserver{name: name, path: r.section.Name + "/" + name, server: where, nameserverCounts: &nameserverCounts{}})
}

// Add makes the resolver fill a group's slots. Groups with the same name and the same family share one
// query cycle.
func (r *Resolver) Add(g *pool.Group, want Want) {
	name, types := dns.CanonicalName(g.FQDN), queryTypes(want.Prefer)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lookups {
		if l.name == name && len(l.targetTypes) == len(types) {
			l.join(member{g, want})
			return
		}
	}
	l := &lookup{r: r, name: name, types: types, targetTypes: types, members: []member{{g, want}}}
	if isService(name) {
		l.types = []uint16{dns.TypeSRV}
	}
	l.log = r.log.With("name", l.shown())
	if !r.opts.HAProxyHold {
		l.guard = newGuard(name, r.opts.LocalSubnets)
	}
	l.memory = memory{hold: r.section.Hold, haproxy: r.opts.HAProxyHold}
	r.lookups = append(r.lookups, l)
	if r.begin != nil {
		r.begin(l, 0)
	}
}

// Remove has a group's slots be left alone, and its name too unless others want it.
func (r *Resolver) Remove(g *pool.Group) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lookups = slices.DeleteFunc(r.lookups, func(l *lookup) bool {
		last := l.leave(g)
		if last && l.end != nil {
			l.end()
		}
		return last
	})
}

// names returns the lookups that there are.
func (r *Resolver) names() []*lookup {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lookups)
}

func queryTypes(prefer string) []uint16 {
	if prefer == "ipv6" {
		return []uint16{dns.TypeAAAA, dns.TypeA}
	}
	return []uint16{dns.TypeA}
}

// Run resolves until ctx ends; then it returns with no goroutine left behind. The names' first cycles
// are spread over `timeout resolve`, so that many names do not ask at the same moment.
func (r *Resolver) Run(ctx context.Context) {
	var running sync.WaitGroup
	r.mu.Lock()
	r.begin = func(l *lookup, delay time.Duration) {
		ctx, cancel := context.WithCancel(ctx)
		l.end = cancel
		running.Go(func() { defer cancel(); l.run(ctx, delay) })
	}
	for i, l := range r.lookups {
		r.begin(l, r.pause()*time.Duration(i)/time.Duration(len(r.lookups)))
	}
	r.mu.Unlock()
	<-ctx.Done()
	r.mu.Lock()
	r.begin = nil
	r.mu.Unlock()
	running.Wait()
}

// pause is the time between the end of a cycle and the start of the next one.
func (r *Resolver) pause() time.Duration { return max(r.section.TimeoutResolve, minPause) }

// Name returns the section's name.
func (r *Resolver) Name() string { return r.section.Name }

// Counters returns each nameserver's counters, in the order of the configuration.
func (r *Resolver) Counters() []NameserverCounters {
	all := make([]NameserverCounters, 0, len(r.nameservers))
	for _, ns := range r.nameservers {
		all = append(all, ns.counters())
	}
	return all
}

// Totals returns what was done beyond HAProxy.
func (r *Resolver) Totals() Totals { return r.totals.load() }
