// Package offload decides which frontends the kernel path may take. The verdict is a pure function of
// the configuration: `waggle explain` prints it without privileges, and the stats page and the data
// paths ask the same function.
//
// A frontend is the kernel's only if every part of its configuration can be honoured there in full. No
// semantics are bent to stay in the kernel.
package offload

import (
	"fmt"
	"net/netip"

	"waggle/pkg/balance"
	"waggle/pkg/config"
	"waggle/pkg/unixaddr"
)

// Verdict says which path serves a frontend.
type Verdict struct {
	Proxy   *config.Proxy
	Kernel  bool
	Backend *config.Proxy // where the kernel would send connections; nil unless Kernel
	Reasons []Reason      // why not; empty if Kernel
}

// Reason is one thing that keeps a frontend in userspace.
type Reason struct {
	Pos  config.Pos
	Text string // a clause without capital and full stop, e.g. "mode http needs requests to be read"
}

// Summary says in one clause why the path is what it is, for a stats page or a log line.
func (v Verdict) Summary() string {
	if v.Kernel {
		return "plain TCP to backend " + v.Backend.Name
	}
	s := v.Reasons[0].Text
	if n := len(v.Reasons) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// Explain returns the verdict for every frontend and listen section, in file order.
func Explain(cfg *config.Config) []Verdict {
	var verdicts []Verdict
	all := indexOf(cfg)
	for _, p := range cfg.Proxies {
		if p.Kind.HasFrontend() && !p.Disabled {
			verdicts = append(verdicts, all.decide(p))
		}
	}
	return verdicts
}

// index finds sections of a configuration.
type index struct {
	backends  map[string]*config.Proxy
	listening map[netip.AddrPort][]*config.Proxy // frontends with a bind line of that address, in file order, each once
}

func indexOf(cfg *config.Config) *index {
	x := &index{backends: make(map[string]*config.Proxy), listening: make(map[netip.AddrPort][]*config.Proxy)}
	for _, p := range cfg.Proxies {
		if p.Kind.HasBackend() && x.backends[p.Name] == nil {
			x.backends[p.Name] = p
		}
		if !p.Kind.HasFrontend() || p.Disabled {
			continue
		}
		for _, b := range p.Binds {
			if at := x.listening[b.Addr]; len(at) == 0 || at[len(at)-1] != p {
				x.listening[b.Addr] = append(at, p)
			}
		}
	}
	return x
}

// Decide returns the verdict for one frontend or listen section.
func Decide(cfg *config.Config, p *config.Proxy) Verdict { return indexOf(cfg).decide(p) }

func (x *index) decide(p *config.Proxy) Verdict {
	j := &judge{all: x, frontend: p}
	if p.HTTP { // reason enough
		j.no(p.Pos, "mode http: requests must be read to be balanced")
		return Verdict{Proxy: p, Reasons: j.reasons}
	}
	j.listening()
	j.rules()
	j.logging()
	backend := j.target()
	if backend != nil {
		j.backend(backend)
	}
	if len(j.reasons) > 0 {
		return Verdict{Proxy: p, Reasons: j.reasons}
	}
	return Verdict{Proxy: p, Kernel: true, Backend: backend}
}

// judge collects what speaks against the kernel.
type judge struct {
	all      *index
	frontend *config.Proxy
	reasons  []Reason
}

func (j *judge) no(pos config.Pos, format string, args ...any) {
	j.reasons = append(j.reasons, Reason{Pos: pos, Text: fmt.Sprintf(format, args...)})
}

// listening judges the bind lines.
func (j *judge) listening() {
	if len(j.frontend.Binds) == 0 {
		j.no(j.frontend.Pos, "it has no bind line")
	}
	if j.frontend.RateLimit > 0 {
		j.no(j.frontend.Pos, "rate-limit sessions: the kernel counts no sessions by the second")
	}
	if j.frontend.Options.SocketStats {
		j.no(j.frontend.Pos, "option socket-stats: the kernel counts by frontend")
	}
	if j.frontend.Options.NoLinger {
		j.no(j.frontend.Pos, "option nolinger: the client's TCP ends as the server ends it in the kernel path")
	}
	for _, b := range j.frontend.Binds {
		switch {
		case unixaddr.Is(b.Addr.Addr()):
			j.no(b.Pos, "bind %s: what comes by a unix socket is no packet", unixaddr.String(b.Addr))
		case b.TLS.Enabled:
			j.no(b.Pos, "ssl: TLS is spoken in userspace")
		case b.AcceptProxy:
			j.no(b.Pos, "accept-proxy: the PROXY header is part of the stream")
		case b.Addr.Addr().Is4In6() || b.Addr.Addr().Is6() && b.Addr.Addr().IsLinkLocalUnicast():
			j.no(b.Pos, "bind %s: services are matched by addresses that are unique", b.Addr)
		case b.Interface != "":
			j.no(b.Pos, "bind to interface %s: services are matched by address, not by interface", b.Interface)
		case b.UserTimeout > 0:
			j.no(b.Pos, "tcp-ut: the client's TCP is the server's in the kernel path")
		case b.MaxConn > 0:
			j.no(b.Pos, "maxconn of a bind line: the kernel counts by frontend")
		}
		if other := j.sharedWith(b); other != nil {
			j.no(b.Pos, "bind %s: frontend %s listens there, too: the system shares the connections out between the sockets", unixaddr.String(b.Addr), other.Name)
		}
	}
}

// sharedWith is another frontend that listens on the address and port of a bind line, nil if there is none.
func (j *judge) sharedWith(b config.Bind) *config.Proxy {
	for _, p := range j.all.listening[b.Addr] {
		if p != j.frontend {
			return p
		}
	}
	return nil
}

// rules judges everything that looks into the stream or chooses by it.
func (j *judge) rules() {
	f := j.frontend
	for _, u := range f.UseBackend {
		j.no(u.Pos, "use_backend chooses by content")
		break
	}
	for _, r := range f.HTTPRequest {
		j.no(r.Pos, "rules are evaluated in userspace")
		break
	}
	for _, r := range f.TCPConnection {
		j.no(r.Pos, "rules are evaluated in userspace")
		break
	}
	if len(f.TCPSession)+len(f.TCPContent) > 0 {
		j.no(f.Pos, "rules are evaluated in userspace")
	}
	if f.MonitorURI != "" {
		j.no(f.Pos, "monitor-uri answers requests")
	}
	if f.Stats != nil {
		j.no(f.Stats.Pos, "stats answers requests")
	}
}

// logging judges the log lines: the kernel path tells when and how a session has ended, which is what the line of every
// session (HAProxy's default, or tcplog) is made of.
func (j *judge) logging() {
	f := j.frontend
	switch {
	case len(f.Logs) == 0:
	case f.LogFormat != nil:
		j.no(f.Logs[0].Pos, "log-format may ask for what only userspace sees")
	case f.LogFormatSD != nil:
		j.no(f.Logs[0].Pos, "log-format-sd may ask for what only userspace sees")
	case f.Options.LogASAP:
		j.no(f.Logs[0].Pos, "option logasap: the kernel path logs sessions when they have ended")
	}
}

// target returns the one backend that all connections go to.
func (j *judge) target() *config.Proxy {
	f := j.frontend
	if f.Kind == config.Listen && f.DefaultBackend == "" {
		return f
	}
	if f.DefaultBackend == "" {
		j.no(f.Pos, "it has no default_backend")
		return nil
	}
	p := j.all.backends[f.DefaultBackend]
	switch {
	case p == nil:
		j.no(f.Pos, "its default_backend %s does not exist", f.DefaultBackend)
		return nil
	case p.Disabled:
		j.no(p.Pos, "its default_backend %s is disabled", p.Name)
		return nil
	}
	return p
}

// backend judges where the connections go.
func (j *judge) backend(b *config.Proxy) {
	j.balance(b)
	if b != j.frontend && len(b.TCPContent) > 0 {
		j.no(b.Pos, "rules are evaluated in userspace")
	}
	for _, u := range b.UseServer {
		j.no(u.Pos, "use-server chooses by rules that are evaluated in userspace")
		break
	}
	if len(b.Stick) > 0 {
		j.no(b.Stick[0].Pos, "stick chooses by a table that userspace keeps")
	}
	if b != j.frontend && b.Options.NoLinger {
		j.no(b.Pos, "option nolinger: the server's TCP ends as the client ends it in the kernel path")
	}
	if len(b.Servers) == 0 {
		j.no(b.Pos, "backend %s has no server", b.Name)
	}
	if b.Stats != nil && b != j.frontend {
		j.no(b.Stats.Pos, "stats answers requests")
	}
	for i := range b.Servers {
		j.server(&b.Servers[i])
		j.source(b, &b.Servers[i])
	}
	j.families(b)
}

// What the kernel path's algorithms can do. pkg/datapath has the same numbers.
const (
	maxDraws = 16   // servers that random draws for a connection
	maxScan  = 1024 // servers that leastconn and first look at for a connection
)

// balance judges the algorithm. All that the parser knows are in the kernel too; some have a bound there, since a
// program that runs for each packet must end soon.
func (j *judge) balance(b *config.Proxy) {
	servers := 0
	for i := range b.Servers {
		servers += max(1, b.Servers[i].High-b.Servers[i].Low+1)
	}
	switch line := b.Balance; line.Algorithm {
	case "", "roundrobin", "static-rr", "source":
	case "leastconn", "first":
		if servers > maxScan {
			j.no(line.Pos, "balance %s over %d servers: the kernel path looks at %d at most", line.Algorithm, servers, maxScan)
		}
	case "random":
		if n, err := balance.Draws(line.Args); err != nil || n > maxDraws {
			j.no(line.Pos, "balance random with %d draws: the kernel path draws %d at most", n, maxDraws)
		}
	default:
		j.no(line.Pos, "balance %s: the kernel path does not know it", line.Algorithm)
	}
}

func (j *judge) server(s *config.Server) {
	switch {
	case unixaddr.Is(s.Addr.Addr()):
		j.no(s.Pos, "server %s: what goes to a unix socket is no packet", s.Name)
	case s.Addr.Port() == 0 && !s.Service():
		j.no(s.Pos, "server %s: its port follows the one that the client connected to", s.Name)
	case s.TLS.Enabled:
		j.no(s.Pos, "server %s: TLS is spoken in userspace", s.Name)
	case s.SendProxy > 0:
		j.no(s.Pos, "server %s: send-proxy inserts bytes into the stream", s.Name)
	case s.UserTimeout > 0:
		j.no(s.Pos, "server %s: tcp-ut: its TCP is the client's in the kernel path", s.Name)
	case s.MinConn > 0:
		j.no(s.Pos, "server %s: minconn makes its limit follow the backend's load", s.Name)
	case s.Observe != "" && s.Observe != "none":
		j.no(s.Pos, "server %s: observe counts errors in a row, which only userspace sees one by one", s.Name)
	}
}

// source judges where connections to a server come from.
func (j *judge) source(b *config.Proxy, s *config.Server) {
	src := b.SourceOf(s)
	switch {
	case src.Interface != "":
		j.no(s.Pos, "server %s: source interface %s: the kernel path sends by the routes", s.Name, src.Interface)
	case src.Low != 0:
		j.no(s.Pos, "server %s: source ports: those of the kernel path must be no socket's", s.Name)
	case src.Given() && s.Addr.Addr().IsValid() && src.Addr.Is4() != s.Addr.Addr().Is4():
		j.no(s.Pos, "server %s: source %s is not of the family of %s", s.Name, src.Addr, s.Addr.Addr())
	}
}
