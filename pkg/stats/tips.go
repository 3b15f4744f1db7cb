package stats

import (
	"fmt"
	"net/netip"
	"strings"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/unixaddr"
)

// sessionTip tells what the sessions were: requests, responses by class, times.
func sessionTip(r *Row) string {
	t := &r.Totals
	lines := []string{fmt.Sprintf("sessions: %s", grouped(int64(t.Sessions)))}
	if r.Scope == Frontends || r.Scope == Listeners {
		lines = append(lines, fmt.Sprintf("connections: %s", grouped(int64(t.Connections))))
	}
	if r.Mode == pool.HTTP {
		lines = append(lines, fmt.Sprintf("HTTP requests: %s", grouped(int64(t.Requests))))
		for i, class := range []string{"1xx", "2xx", "3xx", "4xx", "5xx", "other"} {
			lines = append(lines, fmt.Sprintf("HTTP %s responses: %s", class, grouped(int64(t.HTTP[i]))))
		}
	}
	switch r.Scope {
	case Frontends:
		if t.Intercepted > 0 {
			lines = append(lines, fmt.Sprintf("answered by the balancer: %s", grouped(int64(t.Intercepted))))
		}
	case Listeners:
	default:
		tm := r.times()
		lines = append(lines,
			fmt.Sprintf("connections to servers: %s new, %s reused", grouped(int64(t.Connects)), grouped(int64(t.Reuses))),
			fmt.Sprintf("average queue %s, connect %s, response %s, total %s", ms(&tm.Queue), ms(&tm.Connect), ms(&tm.Response), ms(&tm.Total)))
	}
	return strings.Join(lines, "\n")
}

func ms(a *pool.Average) string { return fmt.Sprintf("%.1f ms", float64(a.Load())/1000) }

func rateTip(r *Row) string {
	if r.Scope != Frontends {
		return ""
	}
	return fmt.Sprintf("connections a second: %d, at most %d\nHTTP requests a second: %d, at most %d",
		r.Frontend.ConnRate.Cur(), r.Frontend.ConnRate.Max(), r.Frontend.RequestRate.Cur(), r.Frontend.RequestRate.Max())
}

// pathTip tells how the sessions divide between the two paths, where the kernel has any.
func pathTip(r *Row) string {
	g := r.sessions()
	if g.Kernel() == 0 {
		return ""
	}
	return fmt.Sprintf("kernel path: %d\nuserspace: %d", g.Kernel(), g.User())
}

func abortTip(r *Row) string {
	return fmt.Sprintf("broken off by clients: %d\nbroken off by servers: %d", r.Totals.ClientAborts, r.Totals.ServerAborts)
}

// nameTip tells what the configuration says of an object, where legends may be shown.
func nameTip(r *Row) string {
	if !r.Legends {
		return ""
	}
	lines := []string{fmt.Sprintf("mode: %s", r.Mode), fmt.Sprintf("proxy id: %d", r.ProxyID())}
	if r.Scope == Servers {
		lines = append(lines, fmt.Sprintf("server id: %d", r.ID()))
		if r.View.FQDN != "" {
			lines = append(lines, "name in DNS: "+r.View.FQDN)
		}
		if r.View.Checking {
			lines = append(lines, fmt.Sprintf("checks: rise %d, fall %d, health %d of %d",
				r.Server.Rise, r.Server.Fall, r.View.Health, r.Server.Rise+r.Server.Fall-1))
		}
	}
	if r.Scope == Backends {
		lines = append(lines, "balance: "+algorithm(r).String())
	}
	if r.Scope != Frontends {
		if c := cookie(r); !c.Empty() {
			lines = append(lines, "cookie: "+c.String())
		}
	}
	return strings.Join(lines, "\n")
}

// bindText lists the addresses that a frontend listens on, as a configuration would write them.
func bindText(binds []config.Bind) string {
	var out []string
	for _, b := range binds {
		host := b.Addr.Addr().String()
		switch {
		case !b.Addr.IsValid():
			continue
		case unixaddr.Is(b.Addr.Addr()):
			out = append(out, unixaddr.String(b.Addr))
			continue
		case b.Addr.Addr() == netip.IPv4Unspecified():
			host = "*"
		case b.Addr.Addr().Is6():
			host = "[" + host + "]"
		}
		out = append(out, fmt.Sprintf("%s:%d", host, b.Addr.Port()))
	}
	return strings.Join(out, ", ")
}
