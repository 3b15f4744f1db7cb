package proxy

import (
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/balance"
	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/h1"
	"waggle/pkg/sample"
	"waggle/pkg/stick"
	"waggle/pkg/userlist"
)

// frontend is a proxy that accepts connections, ready for the hot path.
type frontend struct {
	plan          *plan
	cfg           *config.Proxy
	stats         *pool.Frontend
	timeouts      timeouts
	routes        []route
	fallback      *backend // nil: requests that no route takes get 503
	monitor       string
	errors        errorPages
	logs          bool // the access log wants to know
	formatted     bool // by a format of the configuration
	keepsHead     bool // the log looks at the request's head when it has gone
	keepsResponse bool // or at the response's
	dest          bool // the log's format shows where the client connected to
	numbers       bool // a format shows the number of the request
	source        bool // or from where we connected to the server
	after         bool // there are rules for responses of our own
}

// route is one use_backend line.
type route struct {
	line *config.UseBackend
	to   *backend // nil if it is disabled
}

// backend is a proxy with servers, ready for the hot path.
type backend struct {
	cfg      *config.Proxy
	stats    *pool.Backend
	algo     balance.Algorithm
	secure   map[string]*serverTLS // servers that speak TLS, by name; nil: none does
	hasher   *hasher               // of algorithms that go by a key
	cookies  *cookies              // nil: none lead to servers
	persists bool                  // there are cookies, use-server or stick lines
	timeouts timeouts
	errors   errorPages
}

// timeouts are a proxy's, with HAProxy's fallbacks applied; 0 means none.
type timeouts struct {
	connect, client, server, httpRequest, keepAlive, queue, tunnel, clientFin, serverFin, tarpit, handshake time.Duration
}

func newTimeouts(p *config.Proxy) timeouts {
	t := p.Timeouts
	if !p.Kind.HasBackend() {
		t.Connect = 0 // of defaults, and not the frontend's
	}
	first := func(ds ...time.Duration) time.Duration {
		for _, d := range ds {
			if d > 0 {
				return d
			}
		}
		return 0
	}
	return timeouts{
		connect: t.Connect, client: t.Client, server: t.Server, tunnel: t.Tunnel,
		httpRequest: first(t.HTTPRequest, t.Client),
		keepAlive:   first(t.HTTPKeepAlive, t.HTTPRequest, t.Client),
		queue:       first(t.Queue, t.Connect),
		clientFin:   t.ClientFin,
		serverFin:   t.ServerFin,
		tarpit:      first(t.Tarpit, t.Connect),
		handshake:   first(t.ClientHandshake, t.Client),
	}
}

// errorPages are the whole responses that errorfile lines put in place of our own.
type errorPages map[int][]byte

func readErrorFiles(p *config.Proxy) (errorPages, error) {
	pages := make(errorPages, len(p.ErrorFiles))
	for status, name := range p.ErrorFiles {
		page, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("proxy '%s': read errorfile for %d: %w", p.Name, status, err)
		}
		pages[status] = page
	}
	return pages, nil
}

// plan is all proxies of a configuration. A session belongs to one plan at a time: a TCP session for as long as it
// lives, an HTTP one until the end of a request.
type plan struct {
	frontends []*frontend
	backends  map[string]*backend
	off       map[string]bool // backends that are disabled: rules may name them, and lead nowhere then, as with HAProxy
	tables    map[string]*stick.Table
	userlists map[string]*userlist.List
	pool      *pool.Pool
	access    func(p *config.Proxy, e *accesslog.Entry)
	sizes

	compression compressionLimits
	maxStreams  int // tune.h2.max-concurrent-streams; 0 = default
	sessions    atomic.Int64
	superseded  atomic.Bool
	ending      sync.Once
	ended       chan struct{} // closed when the plan is superseded and its last session has gone
}

// sizes bound what a loop stores. They are those of the configuration that the process began with.
type sizes struct {
	limits  h1.Limits
	bufSize int
	rewrite int // bytes of a buffer that a head leaves free
}

// enter counts a session.
func (pl *plan) enter() { pl.sessions.Add(1) }

// leave undoes enter.
func (pl *plan) leave() {
	if pl.sessions.Add(-1) == 0 && pl.superseded.Load() {
		pl.end()
	}
}

// supersede notes that no session begins under the plan any more.
func (pl *plan) supersede() {
	pl.superseded.Store(true)
	if pl.sessions.Load() == 0 {
		pl.end()
	}
}

func (pl *plan) end() { pl.ending.Do(func() { close(pl.ended) }) }

// HAProxy's defaults.
const (
	defaultBufSize = 16384
	defaultRewrite = 1024 // tune.maxrewrite: kept free for what is added to a head
	minBufSize     = 4096
)

func newPlan(cfg *config.Config, p *pool.Pool) (*plan, error) {
	pl := &plan{backends: make(map[string]*backend), off: make(map[string]bool), tables: newTables(cfg), pool: p, ended: make(chan struct{}), sizes: sizes{bufSize: cfg.Global.BufSize}}
	pl.userlists = cfg.Userlists
	pl.maxStreams = cfg.Global.TLS.MaxStreams
	pl.compression = compressionLimits{level: max(cfg.Global.CompressionLevel, 1), rate: uint64(cfg.Global.CompressionRate) << 10, idle: cfg.Global.CompressionIdle}
	if p.Limit() == 0 {
		p.SetLimit(cfg.Global.MaxConn)
	}
	if pl.bufSize == 0 {
		pl.bufSize = defaultBufSize
	}
	pl.bufSize = max(pl.bufSize, minBufSize)
	pl.rewrite = cfg.Global.MaxRewrite
	if pl.rewrite == 0 {
		pl.rewrite = defaultRewrite
	}
	pl.rewrite = min(pl.rewrite, pl.bufSize/2)
	pl.limits = h1.Limits{MaxHead: pl.bufSize - pl.rewrite, MaxFields: cfg.Global.MaxHdr}
	for _, proxy := range cfg.Proxies {
		if !proxy.Kind.HasBackend() {
			continue
		}
		if proxy.Disabled {
			pl.off[proxy.Name] = true
			continue
		}
		b, err := newBackend(proxy, p)
		if err != nil {
			return nil, err
		}
		pl.backends[proxy.Name] = b
	}
	for _, proxy := range cfg.Proxies {
		if proxy.Disabled || !proxy.Kind.HasFrontend() {
			continue
		}
		f, err := pl.newFrontend(proxy, p)
		if err != nil {
			return nil, err
		}
		pl.frontends = append(pl.frontends, f)
	}
	return pl, nil
}

func newBackend(proxy *config.Proxy, p *pool.Pool) (*backend, error) {
	b := &backend{cfg: proxy, stats: p.Backend(proxy.Name), timeouts: newTimeouts(proxy)}
	if b.stats == nil {
		return nil, fmt.Errorf("backend '%s' is not in the pool", proxy.Name)
	}
	line := &proxy.Balance
	spec := balance.Spec{Name: line.Algorithm, Args: line.Args, Consistent: line.Consistent, Factor: line.Factor}
	b.hasher = newHasher(line)
	b.cookies = newCookies(proxy, b.stats)
	b.persists = b.cookies != nil || len(proxy.UseServer) > 0 || len(proxy.Stick) > 0
	var err error
	if b.algo, err = balance.New(spec, b.stats); err != nil {
		return nil, fmt.Errorf("backend '%s': %w", proxy.Name, err)
	}
	if b.secure, err = newServersTLS(proxy); err != nil {
		return nil, err
	}
	b.errors, err = readErrorFiles(proxy)
	return b, err
}

func (pl *plan) newFrontend(proxy *config.Proxy, p *pool.Pool) (*frontend, error) {
	f := &frontend{plan: pl, cfg: proxy, stats: p.Frontend(proxy.Name), timeouts: newTimeouts(proxy), monitor: proxy.MonitorURI}
	if f.stats == nil {
		return nil, fmt.Errorf("frontend '%s' is not in the pool", proxy.Name)
	}
	for i := range proxy.UseBackend {
		line := &proxy.UseBackend[i]
		if line.Format != nil {
			f.routes = append(f.routes, route{line: line})
			continue
		}
		to := pl.backends[line.Backend]
		if to == nil && !pl.off[line.Backend] {
			return nil, fmt.Errorf("frontend '%s': unable to find required use_backend: '%s'", proxy.Name, line.Backend)
		}
		f.routes = append(f.routes, route{line: line, to: to})
	}
	switch {
	case proxy.DefaultBackend != "":
		if f.fallback = pl.backends[proxy.DefaultBackend]; f.fallback == nil && !pl.off[proxy.DefaultBackend] {
			return nil, fmt.Errorf("frontend '%s': unable to find required default_backend: '%s'", proxy.Name, proxy.DefaultBackend)
		}
	case proxy.Kind == config.Listen:
		f.fallback = pl.backends[proxy.Name]
	}
	f.noteFormats(pl)
	var err error
	f.errors, err = readErrorFiles(proxy)
	return f, err
}

// noteFormats finds out what formats and rules will want to know.
func (f *frontend) noteFormats(pl *plan) {
	for _, lf := range []*sample.Format{f.cfg.LogFormat, f.cfg.ErrorLogFormat, f.cfg.LogFormatSD} {
		f.formatted = f.formatted || lf != nil
		f.dest = f.dest || lf.Uses(sample.VarFrontendIP) || lf.Uses(sample.VarFrontendPort)
		f.source = f.source || lf.Uses(sample.VarSourceIP) || lf.Uses(sample.VarSourcePort)
		f.numbers = f.numbers || lf.Uses(sample.VarCounter)
		f.keepsHead = f.keepsHead || lf.NeedsRequest()
		f.keepsResponse = f.keepsResponse || lf.NeedsResponse()
	}
	f.after = len(f.cfg.HTTPAfterResponse) > 0
	f.numbers = f.numbers || f.cfg.UniqueID.NeedsVariables() || rulesUseVariables(f.cfg)
	for _, b := range pl.backends {
		f.after = f.after || len(b.cfg.HTTPAfterResponse) > 0
		f.numbers = f.numbers || rulesUseVariables(b.cfg)
	}
}

func rulesUseVariables(p *config.Proxy) bool {
	for _, rules := range [][]config.HTTPRule{p.HTTPRequest, p.HTTPResponse, p.HTTPAfterResponse} {
		for i := range rules {
			if rules[i].Format.NeedsVariables() || rules[i].Reply != nil {
				return true
			}
		}
	}
	return len(p.HTTPErrors) > 0
}

// forwardFor returns the option forwardfor that applies, nil for none, and whether if-none does. The
// backend's header name wins, and if-none must be said by each side that has the option (HAProxy manual,
// option forwardfor).
func forwardFor(f *frontend, b *backend) (opt *config.ForwardFor, ifNone bool) {
	fe, be := f.cfg.Options.ForwardFor, b.cfg.Options.ForwardFor
	if f.cfg == b.cfg {
		fe = nil
	}
	switch {
	case be == nil && fe == nil:
		return nil, false
	case be == nil:
		return fe, fe.IfNone
	case fe == nil:
		return be, be.IfNone
	}
	return be, fe.IfNone && be.IfNone
}
