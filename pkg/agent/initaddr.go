package agent

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"waggle/pkg/config"
)

// libcTimeout bounds all look-ups of the system's resolver at start together. Docker forwards names
// that it does not know to the host's resolvers, which may never answer; a balancer that waits for them
// is down for no reason.
const libcTimeout = 2 * time.Second

// lookup asks the system's resolver.
type lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// methods returns the init-addr methods of a server line in order. HAProxy's default is last,libc;
// `none` is added when a resolvers section will find the address later (section 5.2, init-addr).
func methods(line *config.Server) []config.InitAddr {
	m := line.InitAddr
	if line.Service() { // no other resolver knows service records
		return []config.InitAddr{{Method: "none"}}
	}
	if m == nil {
		m = []config.InitAddr{{Method: "last"}, {Method: "libc"}}
		if line.Resolvers != "" {
			m = append(m, config.InitAddr{Method: "none"})
		}
	}
	return m
}

// lookupInitial asks the system's resolver for every host that has libc among its init-addr methods,
// all at the same time. Hosts that are not found are absent from the result.
func lookupInitial(ctx context.Context, cfg *config.Config, ask lookup) map[string][]netip.Addr {
	ctx, cancel := context.WithTimeout(ctx, libcTimeout)
	defer cancel()
	hosts := map[string]bool{}
	for _, p := range cfg.Proxies {
		for i := range p.Servers {
			s := &p.Servers[i]
			usesLibc := slices.ContainsFunc(methods(s), func(m config.InitAddr) bool { return m.Method == "libc" })
			if s.Host != "" && !s.Addr.Addr().IsValid() && usesLibc && !p.Disabled {
				hosts[s.Host] = true
			}
		}
	}
	found := map[string][]netip.Addr{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for host := range hosts {
		wg.Go(func() {
			addrs, err := ask(ctx, host)
			if err != nil || len(addrs) == 0 {
				return
			}
			slices.SortFunc(addrs, netip.Addr.Compare)
			mu.Lock()
			found[host] = slices.Compact(addrs)
			mu.Unlock()
		})
	}
	wg.Wait()
	return found
}

// startAddresses walks the init-addr methods of a line until its servers have addresses, which are put into addrs. taken
// addresses of its name are other lines'. No address takes two slots. (HAProxy gives all slots the first one until the
// resolvers have answered; reference: measured on 2.6.) The error is HAProxy's for a server whose list ends without `none`.
func (b *building) startAddresses(p *config.Proxy, line *config.Server, names []string, addrs []netip.Addr, taken int) error {
	for _, m := range methods(line) {
		switch m.Method {
		case "last":
			last := b.saved.lastAddresses(p, line)
			for i, name := range names {
				addrs[i] = last[name]
			}
		case "libc":
			found := preferred(b.initial[line.Host], line.ResolvePrefer)
			if len(found) > 0 {
				fillSlots(addrs, found[min(taken, len(found)):])
				return nil
			}
		case "ip":
			fillSlots(addrs, []netip.Addr{m.IP})
			return nil
		case "none":
			return nil
		}
		if !slices.Contains(addrs, netip.Addr{}) {
			return nil
		}
	}
	if slices.ContainsFunc(addrs, netip.Addr.IsValid) {
		return nil
	}
	return fmt.Errorf("[%s:%d] : 'server %s/%s' : could not resolve address '%s'",
		line.Pos.File, line.Pos.Line, p.Name, line.Name, line.Host)
}

// fillSlots gives those without an address the ones found that none has yet, in order.
func fillSlots(addrs, found []netip.Addr) {
	free := slices.DeleteFunc(slices.Clone(found), func(a netip.Addr) bool { return slices.Contains(addrs, a) })
	for i := range addrs {
		if !addrs[i].IsValid() && len(free) > 0 {
			addrs[i], free = free[0], free[1:]
		}
	}
}

// preferred keeps the addresses of one family: IPv6 if the line asks for it and there is one, else
// IPv4, else what there is.
func preferred(addrs []netip.Addr, prefer string) []netip.Addr {
	want6 := prefer == "ipv6"
	keep := slices.DeleteFunc(slices.Clone(addrs), func(a netip.Addr) bool { return a.Is4() == want6 })
	if len(keep) > 0 {
		return keep
	}
	return addrs
}
