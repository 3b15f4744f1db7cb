package stats

import (
	"slices"
	"strings"
	"time"

	"waggle/pkg/pool"
)

// Filter says which rows a report has, and how much they tell. The zero Filter is every row without
// addresses.
type Filter struct {
	Up      bool // leave servers out that are down or in maintenance
	NoMaint bool // leave servers out that are in maintenance
	Legends bool // tell addresses, cookies and algorithms
	// Describe adds the statistics' descriptions to the typed format.
	Describe bool

	Contains string   // only proxies with this in their name
	Proxies  []string // only these proxies, if there are any
	ProxyID  int      // only the proxy of this number; 0 or below: all
	Scopes   Scope    // only these kinds; 0: all
	ID       int      // only the server of this number, and no server if 0 and ByID is set
	ByID     bool     // ID counts
}

// Rows returns the rows of a snapshot in HAProxy's order: for each proxy of the file its frontend, its
// servers and its backend.
func Rows(s *Snapshot, f Filter) []Row {
	var rows []Row
	for i := range s.Proxies {
		rows = append(rows, proxyRows(&s.Proxies[i], s.Now, f)...)
	}
	return rows
}

func proxyRows(p *Proxy, now time.Time, f Filter) []Row {
	if !f.proxy(p) {
		return nil
	}
	var rows []Row
	if fe := p.Frontend; fe != nil && f.scope(Frontends) {
		rows = append(rows, Row{Scope: Frontends, Proxy: p, Mode: fe.Mode, Now: now, Legends: f.Legends,
			Frontend: fe, Totals: fe.Counters.Sum()})
	}
	if fe := p.Frontend; fe != nil && f.scope(Listeners) {
		for _, l := range fe.Listeners {
			if !f.ByID || f.ID == l.ID {
				rows = append(rows, Row{Scope: Listeners, Proxy: p, Mode: fe.Mode, Now: now, Legends: f.Legends,
					Frontend: fe, Listener: l, Totals: l.Counters.Sum()})
			}
		}
	}
	if p.Backend == nil {
		return rows
	}
	tally := &Tally{BackendView: p.Backend.View(), Checks: make(map[pool.CheckStatus]int), Hiding: f.Up || f.NoMaint}
	for _, srv := range p.Backend.Servers() {
		r := Row{Scope: Servers, Proxy: p, Mode: p.Backend.Mode, Now: now, Legends: f.Legends,
			Backend: p.Backend, Server: srv, View: srv.View()}
		tally.add(&r)
		if f.scope(Servers) && f.server(&r) {
			r.Totals = srv.Counters.Sum()
			rows = append(rows, r)
		}
	}
	tally.weigh(p.Backend)
	if f.scope(Backends) {
		rows = append(rows, Row{Scope: Backends, Proxy: p, Mode: p.Backend.Mode, Now: now, Legends: f.Legends,
			Backend: p.Backend, Totals: p.Backend.Counters.Sum(), Tally: tally})
	}
	return rows
}

// add counts one server in.
func (t *Tally) add(r *Row) {
	t.Total++
	t.States[r.state()]++
	if r.checking() {
		t.Checks[r.checkStatus()]++
	}
	if !r.View.Admin.Maint() && r.View.Op != pool.Stopped {
		t.Up++
	}
	switch {
	case !r.usable():
	case r.Server.Backup:
		t.Backup++
	default:
		t.Active++
	}
}

// weigh sums the weights of the servers that sessions go to now.
func (t *Tally) weigh(b *pool.Backend) {
	for _, target := range b.Snapshot().Targets {
		t.Weight += target.Weight
	}
}

func (f *Filter) scope(s Scope) bool { return f.Scopes == 0 || f.Scopes&s != 0 }

func (f *Filter) proxy(p *Proxy) bool {
	name, id := p.Name(), p.ID()
	return strings.Contains(name, f.Contains) &&
		(len(f.Proxies) == 0 || slices.Contains(f.Proxies, name)) &&
		(f.ProxyID <= 0 || f.ProxyID == id)
}

func (f *Filter) server(r *Row) bool {
	switch {
	case f.ByID && f.ID != r.Server.ID:
		return false
	case r.View.Admin.Maint():
		return !f.Up && !f.NoMaint
	case r.View.Op == pool.Stopped:
		// A server whose checks begin to pass again is on its way up and stays in sight.
		return !f.Up || r.View.Checking && r.View.Health > 0
	default:
		return true
	}
}

// Name is the section's name.
func (p *Proxy) Name() string {
	switch {
	case p.Frontend != nil:
		return p.Frontend.Name
	case p.Backend != nil:
		return p.Backend.Name
	default:
		return ""
	}
}

// ID is the section's number (iid).
func (p *Proxy) ID() int {
	switch {
	case p.Frontend != nil:
		return p.Frontend.ID
	case p.Backend != nil:
		return p.Backend.ID
	default:
		return 0
	}
}
