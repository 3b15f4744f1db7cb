package config

import (
	"slices"

	"waggle/pkg/sample"
	"waggle/pkg/stick"
)

// Peers is a `peers` section (HAProxy's manual, chapter 3.5): the processes that share stick tables, and tables that belong
// to no proxy. Entries are not exchanged: this process keeps its tables over a reload, since it is the same process.
type Peers struct {
	Pos      Pos
	Name     string
	Disabled bool
	Peers    []Peer
	Tables   []*stick.Config // their names are <section>/<table>
}

// Peer is one process of a `peers` section.
type Peer struct {
	Pos  Pos
	Name string
}

// localPeer is the name of this process among peers: what was asked for at the start counts before what the configuration
// says, and that before the host's name (HAProxy's manual, localpeer).
func (p *parser) localPeer() string {
	switch {
	case p.opts.LocalPeer != "":
		return p.opts.LocalPeer
	case p.cfg.Global.LocalPeer != "":
		return p.cfg.Global.LocalPeer
	default:
		return p.opts.Hostname()
	}
}

func peersDirectives() []directive {
	const noLinks = "no connection is made to peers, and none is taken from them"
	line := func(name, args, doc string, parse func(*statement)) directive {
		return directive{name: name, in: inPeers, args: args, doc: doc, parse: parse}
	}
	return append([]directive{
		line("peer", "<name> <address>:<port> [parameters]", "a process to share stick tables with; entries are not exchanged, which is said with a warning", (*statement).peer),
		line("server", "<name> [<address>:<port>] [parameters]", "the same as peer; the local one needs no address", (*statement).peer),
		line("table", "<name> type … size …", "a stick table of the section's own, <section>/<name> to rules", (*statement).peersTable),
		line("disabled", "", "the section is not there for stick tables that name it", func(s *statement) { s.p.peers.Disabled = s.atMost(0) }),
		line("enabled", "", "the contrary of disabled, and the default", func(s *statement) { s.p.peers.Disabled = !s.atMost(0) }),
	}, group(inPeers, Ignored, "connections of peers", noLinks, "bind default-bind default-server log shards=1..")...)
}

func (p *parser) enterPeers(s *statement) {
	g := &Peers{Pos: s.at(-1)}
	p.peers = g
	name, ok := s.one("a name")
	if !ok || !s.checkSectionName(name) {
		return
	}
	g.Name = name
	if other := p.peersNamed(name); other != nil {
		s.errorf(0, "peers section '%s' has the same name as the one declared at %s", name, other.Pos)
		return
	}
	p.cfg.Peers = append(p.cfg.Peers, g)
}

func (p *parser) peersNamed(name string) *Peers {
	if i := slices.IndexFunc(p.cfg.Peers, func(g *Peers) bool { return g.Name == name }); i >= 0 {
		return p.cfg.Peers[i]
	}
	return nil
}

// peer reads a line that names a process. Of its address only the form is looked at.
func (s *statement) peer() {
	g, name := s.p.peers, s.text(0)
	if name == "" {
		s.errorf(-1, "'%s' expects <name> and <addr>:<port> as arguments", s.name())
		return
	}
	if !s.checkName(s.name(), name) {
		return
	}
	if i := slices.IndexFunc(g.Peers, func(o Peer) bool { return o.Name == name }); i >= 0 {
		s.errorf(0, "peer '%s' of peers section '%s' has the same name as the one declared at %s", name, g.Name, g.Peers[i].Pos)
		return
	}
	g.Peers = append(g.Peers, Peer{Pos: s.at(-1), Name: name})
	if s.text(1) != "" {
		s.checkAddress()
	}
}

// checkAddress reads the second argument, an address that nothing here connects to, and reports what is wrong with its form.
func (s *statement) checkAddress() (srv Server, ok bool) {
	if !s.expandAddress(1) {
		return srv, false
	}
	if err := srv.address(s.text(1)); err != nil {
		s.errorf(1, "'%s %s' : %s", s.name(), s.text(0), err)
		return srv, false
	}
	return srv, true
}

// peersTable reads `table <name>` and what a `stick-table` line holds.
func (s *statement) peersTable() {
	g, name := s.p.peers, s.text(0)
	if !sample.ValidName(name) || name == "" {
		s.errorf(-1, "'table' expects a name and the arguments of 'stick-table'")
		return
	}
	t, ok := s.tableConfig(1)
	if !ok {
		return
	}
	t.Name = g.Name + "/" + name
	if slices.ContainsFunc(g.Tables, func(o *stick.Config) bool { return o.Name == t.Name }) {
		s.errorf(0, "'table' : peers section '%s' has a table '%s' already", g.Name, name)
		return
	}
	g.Tables = append(g.Tables, t)
}

// hasTable says whether there is a stick table of a name: of a proxy, or <section>/<table> of peers.
func (p *parser) hasTable(name string) bool {
	for _, s := range p.named[name] {
		if s.hasTable {
			return true
		}
	}
	for _, g := range p.cfg.Peers {
		if slices.ContainsFunc(g.Tables, func(t *stick.Config) bool { return t.Name == name }) {
			return true
		}
	}
	return false
}

// finishPeers says what of the sections is not done: HAProxy would exchange entries with all peers but the local one.
func (p *parser) finishPeers() {
	local := p.localPeer()
	for _, g := range p.cfg.Peers {
		if g.Disabled {
			continue
		}
		if !slices.ContainsFunc(g.Peers, func(o Peer) bool { return o.Name == local }) {
			p.warn(g.Pos, "peers section '%s' has no peer named '%s', which is this process (-L, 'localpeer' or the host's name): nothing is shared, and tables stay over a reload all the same", g.Name, local)
			continue
		}
		for _, o := range g.Peers {
			if o.Name != local {
				p.warn(o.Pos, "peer '%s' of peers section '%s' : entries of stick tables are not exchanged with other processes yet; each process counts for itself", o.Name, g.Name)
			}
		}
	}
	for _, use := range p.peersUses {
		if p.peersNamed(use.name) == nil {
			p.alert(use.at, "unable to find peers section '%s' that is named here", use.name)
		}
	}
}
