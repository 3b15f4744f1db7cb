package stats

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"

	"waggle/pkg/config"
)

// view is what the template of the page shows.
type view struct {
	Title, Heading, Description, Version string
	Refresh                              int // seconds, 0 = never
	Links                                links
	Outcome                              string // of a form that was sent before
	OutcomeGood                          bool
	Actions                              []action // that may be chosen; none: nothing may be changed
	Scope                                string
	Warnings                             []string
	Summary                              []chip
	Process                              []item
	Paths                                pathsView
	Resolvers                            []Resolvers
	Legend                               []tone
	Head                                 template.HTML // of every table
	Choices                              template.HTML // the actions, as options of a form
	ShowIndex                            bool
	Proxies                              []*proxyView
	Now                                  string
}

// links are the display options.
type links struct {
	Self, Up, Refresh, CSV, JSON, Schema string
	HidesDown, Stopped                   bool // what the options are now
	Action                               string
	Hidden                               [][2]string // parameters that the filter's form keeps
}

// chip counts servers in one tone.
type chip struct {
	tone
	Servers int
}

type item struct{ Name, Value string }

type proxyView struct {
	tone
	Name, Anchor, Mode, Kind, State string
	Down                            string // how many servers are down, if any are
	Rows                            []rowView
	Form                            string // how its form names the backend; empty without servers
}

type rowView struct {
	tone
	Name, Tip, Kind, State string
	Server                 string // its name, if it can be chosen in a form
	Cells                  []cell
}

// indexFrom is the number of proxies from which on the page begins with an index.
const indexFrom = 6

func newView(proxy *config.Proxy, s *Snapshot, o options) *view {
	cfg := proxy.Stats
	v := &view{
		Refresh:   refreshSeconds(cfg, o),
		Links:     newLinks(cfg, o),
		Scope:     o.scope,
		Warnings:  warnings(s),
		Process:   processItems(s, cfg),
		Paths:     newPathsView(s),
		Resolvers: s.Resolvers,
		Legend:    legend(),
		Now:       s.Now.Format("2006-01-02 15:04:05 MST"),
	}
	v.Outcome, v.OutcomeGood = o.outcome.text()
	v.Heading = fmt.Sprintf("Statistics Report for pid %d", s.Process.PID)
	v.Title = "waggle statistics"
	if node := nodeName(s, cfg); node != "" {
		v.Heading += " on " + node
		v.Title = node + " – " + v.Title
	}
	if cfg.ShowDesc {
		if v.Description = cfg.Description; v.Description == "" {
			v.Description = s.Process.Description
		}
	}
	if !cfg.HideVersion {
		v.Version = s.Process.Version
	}
	filter := o.filter(proxy)
	layout := groups()
	v.Head = head(layout)
	v.addProxies(s, filter, layout)
	filter.Up, filter.NoMaint = false, false
	v.Summary = summary(s, filter)
	v.ShowIndex = len(v.Proxies) >= indexFrom
	return v
}

func nodeName(s *Snapshot, cfg *config.Stats) string {
	switch {
	case !cfg.ShowNode:
		return ""
	case cfg.Node != "":
		return cfg.Node
	default:
		return s.Process.Node
	}
}

func (v *view) addProxies(s *Snapshot, f Filter, layout []group) {
	columns := map[string]*Column{}
	table := Columns()
	for i := range table {
		columns[table[i].Name] = &table[i]
	}
	width := 0
	for i := range layout {
		width += len(layout[i].Columns)
	}
	for i := range s.Proxies {
		p := &s.Proxies[i]
		rows := proxyRows(p, s.Now, f)
		if len(rows) == 0 {
			continue
		}
		cells := make([]cell, 0, len(rows)*width)
		pv := &proxyView{Name: p.Name(), Anchor: fmt.Sprintf("p%d", p.ID()), Mode: rows[0].Mode.String(), Kind: p.kind(), Rows: make([]rowView, 0, len(rows))}
		for j := range rows {
			r := &rows[j]
			from := len(cells)
			cells = appendCells(cells, r, layout, columns)
			pv.Rows = append(pv.Rows, newRowView(r, cells[from:]))
			if r.Scope == Servers {
				pv.Rows[j].Server, pv.Form = r.Server.Name, fmt.Sprintf("#%d", r.ProxyID())
			}
			if r.Scope != Servers { // the backend, which is last, tells most
				pv.tone, pv.State = r.tone(), status(r).String()
			}
			if r.Scope == Backends && r.Tally.States[stateDown] > 0 {
				pv.Down = fmt.Sprintf("%d of %d down", r.Tally.States[stateDown], r.Tally.Total)
			}
		}
		v.Proxies = append(v.Proxies, pv)
	}
}

func newRowView(r *Row, cells []cell) rowView {
	rv := rowView{tone: r.tone(), Name: r.Name(), Tip: nameTip(r), Kind: strings.ToLower(r.Scope.Word()), Cells: cells}
	switch r.Scope {
	case Frontends:
		rv.Name = "Frontend"
	case Backends:
		rv.Name = "Backend"
	}
	rv.State = statusCell(r).Text
	return rv
}

// appendCells adds the cells of a row, in the order of the layout.
func appendCells(cells []cell, r *Row, layout []group, columns map[string]*Column) []cell {
	for gi := range layout {
		for ci := range layout[gi].Columns {
			col := &layout[gi].Columns[ci]
			c := col.render(columns[col.Statistic], r)
			if ci == 0 {
				c.Class = strings.TrimSpace("g " + c.Class)
			}
			cells = append(cells, c)
		}
	}
	return cells
}

func (p *Proxy) kind() string {
	switch {
	case p.Frontend != nil && p.Backend != nil:
		return "listen"
	case p.Frontend != nil:
		return "frontend"
	default:
		return "backend"
	}
}

// summary counts the servers by tone, in the order of the legend; tones without a server are left out.
func summary(s *Snapshot, f Filter) []chip {
	f.Scopes = Servers
	counts := map[tone]int{}
	rows := Rows(s, f)
	for i := range rows {
		counts[rows[i].tone()]++
	}
	var chips []chip
	for _, t := range legend() {
		if n := counts[t]; n > 0 {
			chips = append(chips, chip{t, n})
		}
	}
	return chips
}

func newLinks(cfg *config.Stats, o options) links {
	o.outcome = "" // it is told once
	with := func(change func(*options)) string {
		c := o
		change(&c)
		return c.link(cfg)
	}
	l := links{
		Self:      o.link(cfg),
		Up:        with(func(o *options) { o.up = !o.up }),
		Refresh:   with(func(o *options) { o.noRefresh = !o.noRefresh }),
		CSV:       with(func(o *options) { o.format, o.noRefresh = "csv", true }),
		JSON:      with(func(o *options) { o.format, o.noRefresh = "json", true }),
		Schema:    with(func(o *options) { *o = options{format: "json-schema"} }),
		HidesDown: o.up, Stopped: o.noRefresh,
	}
	// A form that is sent by GET replaces the query of its address, so what is in there goes into
	// hidden fields, ahead of all others: the page's URI has to stay a prefix.
	var query string
	l.Action, query, _ = strings.Cut(cfg.URI, "?")
	for _, pair := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' }) {
		name, value, _ := strings.Cut(pair, "=")
		if n, err := url.QueryUnescape(name); err == nil {
			name = n
		}
		l.Hidden = append(l.Hidden, [2]string{name, value})
	}
	for _, t := range []struct {
		on   bool
		name string
	}{{o.up, "up"}, {o.noMaint, "no-maint"}, {o.noRefresh, "norefresh"}} {
		if t.on {
			l.Hidden = append(l.Hidden, [2]string{t.name, "1"})
		}
	}
	return l
}
