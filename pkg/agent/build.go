package agent

import (
	"cmp"
	"fmt"
	"net/netip"

	"waggle/pkg/config"
	"waggle/pkg/datapath"
	"waggle/pkg/pool"
)

// building turns the typed configuration into the domain.
type building struct {
	cfg     *config.Config
	maxConn int                     // the process's
	initial map[string][]netip.Addr // by host name: what the system's resolver found
	saved   savedStates             // of a process before this one
	pool    *pool.Pool
	groups  []resolvedGroup
	checks  []checkedServer
}

// resolvedGroup is servers that a resolvers section keeps up to date.
type resolvedGroup struct {
	group *pool.Group
	line  *config.Server
}

// checkedServer is a server with health checks.
type checkedServer struct {
	server  *pool.Server
	backend *config.Proxy
	line    *config.Server
}

// build makes the pool of a configuration.
// before is how a process before this one has named servers to the kernel path.
func build(cfg *config.Config, loops, maxConn int, initial map[string][]netip.Addr, saved savedStates, before datapath.Identities) (*building, error) {
	b := &building{cfg: cfg, maxConn: maxConn, initial: initial, saved: saved, pool: pool.New(loops)}
	_, given := before.Max()
	b.pool.RememberKeys(before.Server, given)
	b.pool.SetLimit(maxConn)
	for _, p := range cfg.Proxies {
		if p.Disabled {
			continue
		}
		if err := b.proxy(p); err != nil {
			return nil, err
		}
	}
	b.number()
	b.track()
	return b, nil
}

func (b *building) proxy(p *config.Proxy) error {
	mode := pool.TCP
	if p.HTTP {
		mode = pool.HTTP
	}
	options := pool.BackendOptions{Name: p.Name, Mode: mode, FullConn: b.fullConn(p), AllBackups: p.Options.AllBackups, Requeue: p.Options.Redispatch && !p.Options.Persist, Listen: p.Kind == config.Listen}
	switch p.Kind {
	case config.Frontend:
		limited(b.pool.AddFrontend(p.Name, mode, b.frontendMaxConn(p)), p)
		return nil
	case config.Listen:
		frontend, backend := b.pool.AddListen(p.Name, mode, b.frontendMaxConn(p), options)
		limited(frontend, p)
		return b.servers(p, backend)
	default:
		return b.servers(p, b.pool.AddBackend(options))
	}
}

// limited gives a frontend its limit of sessions a second, and its addresses theirs.
func limited(f *pool.Frontend, p *config.Proxy) {
	f.LimitRate(p.RateLimit)
	addListeners(f, p)
}

// addListeners has each address of a frontend counted by itself if the configuration says so; the others are named as HAProxy
// names them.
func addListeners(f *pool.Frontend, p *config.Proxy) {
	if !p.Options.SocketStats {
		return
	}
	for i := range p.Binds {
		b := &p.Binds[i]
		f.AddListener(cmp.Or(b.Name, fmt.Sprintf("sock-%d", i+1)), b.Addr, b.MaxConn)
	}
}

func (b *building) frontendMaxConn(p *config.Proxy) int {
	if p.MaxConn > 0 {
		return p.MaxConn
	}
	return b.maxConn
}

// fullConn is what was configured, or 10 % of the maxconn of the frontends that may lead to the backend
// (HAProxy, section 4.2, fullconn).
func (b *building) fullConn(backend *config.Proxy) int {
	if backend.FullConn > 0 || !backend.Kind.HasBackend() {
		return backend.FullConn
	}
	sum := 0
	for _, p := range b.cfg.Proxies {
		if p.Kind.HasFrontend() && leadsTo(p, backend) {
			sum += b.frontendMaxConn(p)
		}
	}
	return (sum + 9) / 10
}

func leadsTo(frontend, backend *config.Proxy) bool {
	if frontend == backend || frontend.DefaultBackend == backend.Name {
		return true
	}
	for _, u := range frontend.UseBackend {
		if u.Backend == backend.Name {
			return true
		}
	}
	return false
}

func (b *building) servers(p *config.Proxy, backend *pool.Backend) error {
	var lines followers
	for i := range p.Servers {
		line := &p.Servers[i]
		servers, err := b.line(p, line, backend, lines.taken(line))
		if err != nil {
			return err
		}
		lines.add(line, servers)
		for _, s := range servers {
			if line.Check.Enabled || line.Agent.Enabled {
				b.checks = append(b.checks, checkedServer{server: s, backend: p, line: line})
			}
		}
	}
	b.groups = append(b.groups, lines.groups(backend)...)
	return nil
}

// line adds the servers of one server or server-template line. The first addresses of its name are taken by others.
func (b *building) line(p *config.Proxy, line *config.Server, backend *pool.Backend, taken int) ([]*pool.Server, error) {
	o := serverOptions(p, line)
	names := line.Names()
	addrs := make([]netip.Addr, len(names))
	if o.FQDN != "" {
		if err := b.startAddresses(p, line, names, addrs, taken); err != nil {
			return nil, err
		}
	}
	servers := make([]*pool.Server, len(names))
	for i, name := range names {
		slot := o
		slot.Name = name
		if addrs[i].IsValid() {
			slot.Addr = netip.AddrPortFrom(addrs[i], o.Addr.Port())
		}
		servers[i] = backend.AddServer(slot)
	}
	return servers, nil
}

// serverOptions is what the domain needs of a server line.
func serverOptions(p *config.Proxy, line *config.Server) pool.ServerOptions {
	o := pool.ServerOptions{
		Name: line.Name, FQDN: line.Host, Addr: line.Addr, Weight: line.Weight, Backup: line.Backup,
		Check: line.Check.Enabled, Rise: line.Check.Rise, Fall: line.Check.Fall,
		MaxConn: line.MaxConn, MinConn: line.MinConn, MaxQueue: line.MaxQueue, Cookie: line.Cookie,
		Disabled: line.Disabled, ShutdownSessions: line.ShutdownSessions,
		Source: sourceOf(p.SourceOf(line)), UserTimeout: line.UserTimeout, NoLinger: p.Options.NoLinger, SendProxy: line.SendProxy, MapPort: line.Addr.Port() == 0 && !line.Service(), PortOffset: line.PortOffset,
		LogChecks: p.Options.LogHealthChecks, Slowstart: line.Slowstart, Agent: line.Agent.Enabled, AgentAt: agentAt(line),
		InitState: initStates[line.InitState], Observe: observes[line.Observe], OnError: onErrors[line.OnError], ErrorLimit: line.ErrorLimit,
		ShutdownBackups: line.ShutdownBackups, Wire: wire(p, line),
	}
	if line.Addr.Addr().IsValid() {
		o.FQDN = ""
	}
	return o
}

func sourceOf(s config.Source) pool.Source {
	return pool.Source{Addr: s.Addr, Low: s.Low, High: s.High, Interface: s.Interface}
}

// wire is what a line says about connections to its servers, as far as it is not in their addresses: all but what
// balancing, checks and discovery alone go by.
func wire(p *config.Proxy, line *config.Server) string {
	l := *line
	l.Source = p.SourceOf(line)
	l.Pos, l.ID, l.Name, l.Low, l.High, l.Params = config.Pos{}, 0, "", 0, 0, nil
	l.Weight, l.Backup, l.Disabled, l.MaxConn, l.MaxQueue, l.Slowstart, l.Cookie = 0, false, false, 0, 0, 0, ""
	l.Check, l.Agent, l.Track, l.InitState = config.CheckOptions{}, config.AgentOptions{}, "", ""
	l.Observe, l.OnError, l.ErrorLimit, l.ShutdownBackups, l.ShutdownSessions = "", "", 0, false, false
	l.Resolvers, l.ResolvePrefer, l.ResolveNet, l.AllowDupIP, l.InitAddr = "", "", nil, false, nil
	return fmt.Sprintf("%+v", l)
}
