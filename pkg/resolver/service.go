package resolver

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Service records (RFC 2782) name targets, each with a port and a weight; a server's name that begins with `_` is one of
// such records (HAProxy, section 5.3.1). Priorities are not looked at, as in HAProxy.

// endpoint is where a server may be.
type endpoint struct {
	addr   netip.Addr
	port   uint16 // 0: the server's own
	weight int    // of a service record, 0..65535
}

func compareEndpoints(a, b endpoint) int {
	return cmp.Or(a.addr.Compare(b.addr), cmp.Compare(a.port, b.port))
}

// endpoints are those of an outcome: of service records, or its addresses.
func (o outcome) endpoints() []endpoint {
	if o.ends != nil {
		return o.ends
	}
	ends := make([]endpoint, len(o.addrs))
	for i, a := range o.addrs {
		ends[i].addr = a
	}
	return ends
}

// target is what a service record points to.
type target struct {
	host   string // canonical
	port   uint16
	weight int
	addrs  []netip.Addr // from the additional section; nil if they must be asked for
}

// Limits on what one answer with service records may make us do.
const (
	// maxTargets is how many hosts one name may lead to.
	maxTargets = 1024
	// askTargets is how many of them are asked for at the same time.
	askTargets = 16
)

// isService says whether a name is one of service records.
func isService(name string) bool { return strings.HasPrefix(name, "_") }

// readService takes the targets of a NOERROR answer for name. CNAMEs are followed. A port of 0 and the target "." mean that
// there is no such service.
func readService(reply *dns.Msg, name string) (targets []target, over int, chained bool, err error) {
	owner, chained, err := chase(reply, dns.CanonicalName(name))
	if err != nil {
		return nil, 0, false, err
	}
	for _, rr := range reply.Answer {
		srv, ok := rr.(*dns.SRV)
		if !ok || srv.Hdr.Class != dns.ClassINET || dns.CanonicalName(srv.Hdr.Name) != owner || srv.Port == 0 || srv.Target == "." {
			continue
		}
		targets = append(targets, target{host: dns.CanonicalName(srv.Target), port: srv.Port, weight: int(srv.Weight)})
	}
	slices.SortFunc(targets, func(a, b target) int {
		return cmp.Or(cmp.Compare(a.host, b.host), cmp.Compare(a.port, b.port), cmp.Compare(b.weight, a.weight))
	})
	targets = slices.CompactFunc(targets, func(a, b target) bool { return a.host == b.host && a.port == b.port })
	over = max(0, len(targets)-maxTargets)
	targets = targets[:len(targets)-over]
	for i := range targets {
		targets[i].addrs = additional(reply, targets[i].host)
	}
	return targets, over, chained, nil
}

// additional is the addresses that the additional section has of a host.
func additional(reply *dns.Msg, host string) (found []netip.Addr) {
	for _, rr := range reply.Extra {
		h := rr.Header()
		if (h.Rrtype != dns.TypeA && h.Rrtype != dns.TypeAAAA) || h.Class != dns.ClassINET || dns.CanonicalName(h.Name) != host {
			continue
		}
		if addr := addressOf(rr); usable(addr) {
			found = append(found, addr)
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	return slices.Compact(found)
}

// locate finds out where the targets of service records are. A target whose addresses cannot be asked for now is where
// it was; one that does not exist is nowhere. Each target is one server, at one address of it.
func (l *lookup) locate(ctx context.Context, o outcome) outcome {
	if !isService(l.name) || o.status != statusValid {
		return o
	}
	hosts := make(map[string][]netip.Addr)
	for _, t := range o.targets {
		hosts[t.host] = preferFamily(t.addrs, l.targetTypes)
	}
	l.askFor(ctx, hosts)
	at := make(map[string]netip.Addr, len(hosts))
	for host, addrs := range hosts {
		switch was := l.targetAt[host]; {
		case len(addrs) == 0:
		case was.IsValid() && slices.Contains(addrs, was):
			at[host] = was
		default:
			at[host] = addrs[0]
		}
	}
	l.targetAt = at
	o.ends = []endpoint{}
	for _, t := range o.targets {
		if addr := at[t.host]; addr.IsValid() {
			o.ends = append(o.ends, endpoint{addr, t.port, t.weight})
			o.addrs = append(o.addrs, addr)
		}
	}
	slices.SortFunc(o.ends, compareEndpoints)
	o.ends = slices.CompactFunc(o.ends, func(a, b endpoint) bool { return compareEndpoints(a, b) == 0 })
	slices.SortFunc(o.addrs, netip.Addr.Compare)
	o.addrs = slices.Compact(o.addrs)
	return o
}

// preferFamily keeps the addresses of the first family that is asked for and that there are of.
func preferFamily(addrs []netip.Addr, types []uint16) []netip.Addr {
	for _, typ := range types {
		var some []netip.Addr
		for _, a := range addrs {
			if a.Is4() == (typ == dns.TypeA) {
				some = append(some, a)
			}
		}
		if len(some) > 0 {
			return some
		}
	}
	return nil
}

// askFor fills in the addresses of hosts that have none yet.
func (l *lookup) askFor(ctx context.Context, hosts map[string][]netip.Addr) {
	ctx, cancel := context.WithDeadline(ctx, time.Now().Add(l.r.section.TimeoutRetry))
	defer cancel()
	var mu sync.Mutex
	var wg sync.WaitGroup
	places := make(chan struct{}, askTargets)
	var missing []string
	for host, addrs := range hosts {
		if len(addrs) == 0 {
			missing = append(missing, host)
		}
	}
	for _, host := range missing {
		wg.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			addrs := l.addressesOf(ctx, host)
			mu.Lock()
			defer mu.Unlock()
			hosts[host] = addrs
		})
	}
	wg.Wait()
}

// addressesOf asks for the addresses of a target; where it was, if there is no answer.
func (l *lookup) addressesOf(ctx context.Context, host string) []netip.Addr {
	best := outcome{status: statusTimeout}
	for _, typ := range l.targetTypes {
		o, _ := l.r.askAll(ctx, host, typ)
		if best = better(o, best); best.found() {
			return best.addrs
		}
	}
	if was := l.targetAt[host]; was.IsValid() && best.status != statusValid && best.status != statusNX {
		return []netip.Addr{was}
	}
	return nil
}
