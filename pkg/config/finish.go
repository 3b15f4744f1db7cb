package config

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// finish checks what can only be known at the end, and gives the configuration.
func (p *parser) finish() *Config {
	p.finishUserlists()
	p.finishRings()
	p.finishPeers()
	for _, s := range p.proxies {
		p.checkTargets(s)
		p.checkServers(s)
		p.checkTracking(s)
		p.finishServerTLS(s)
		p.finishBinds(s)
		p.settleUnix(s)
		p.checkHTTP(s)
		p.checkBalance(s)
		p.finishCheck(s)
		p.checkPersist(s)
		p.resolveErrors(s)
		p.checkTimeouts(s)
		p.checkCaptures(s)
		p.compileFormats(s) // before what they name is looked for
		p.checkTables(s)
		p.checkBackendUses(s)
		p.checkSituationUses(s)
		p.checkEmailAlert(s)
		p.checkUserlistUses(s)
		p.checkStats(s)
		p.checkLogFormats(s)
		if s.Kind.HasBackend() && s.LoadServerState == StateGlobal && p.cfg.Global.ServerStateFile == "" {
			p.warn(s.Pos, "%s '%s' wants its servers' states from the 'server-state-file' of the global section, which names none", s.Kind, s.Name)
		}
		if s.Kind == Frontend && !s.bindWritten && !s.Disabled {
			p.warn(s.Pos, "frontend '%s' has no 'bind' directive: nothing can reach it; write 'backend' if it was meant to be one", s.Name)
		}
		s.HTTPRequest = append(s.HTTPRequest, s.redirects...)
		p.clearOtherSide(s)
		p.cfg.Proxies = append(p.cfg.Proxies, &s.Proxy)
	}
	p.checkMailers()
	for _, r := range p.cfg.Resolvers {
		if len(r.Nameservers) == 0 && !r.ParseResolvConf {
			p.warn(r.Pos, "resolvers '%s' has no name server: nothing that uses it resolves", r.Name)
		}
	}
	if p.zeroWarning {
		p.warningsAreErrors()
	}
	return p.cfg
}

func (p *parser) warn(pos Pos, format string, a ...any) {
	p.report(Diagnostic{Severity: Warning, Pos: pos, Text: fmt.Sprintf(format, a...), Line: p.sourceLine(pos)})
}

func (p *parser) alert(pos Pos, format string, a ...any) {
	p.report(Diagnostic{Severity: Alert, Pos: pos, Text: fmt.Sprintf(format, a...), Line: p.sourceLine(pos)})
}

// sourceLine gives the text of a line that was read before.
func (p *parser) sourceLine(pos Pos) string {
	rest := p.sources[pos.File]
	for n := 1; n < pos.Line; n++ {
		_, after, found := bytes.Cut(rest, []byte{'\n'})
		if !found {
			return ""
		}
		rest = after
	}
	line, _, _ := bytes.Cut(rest, []byte{'\n'})
	return strings.TrimSuffix(string(line), "\r")
}

// clearOtherSide drops what a frontend or backend inherited from defaults for the other side.
func (p *parser) clearOtherSide(s *proxyState) {
	if !s.Kind.HasFrontend() {
		s.DefaultBackend, s.MonitorURI, s.UniqueIDHeader = "", "", ""
		s.TCPConnection, s.TCPSession, s.MonitorFail = nil, nil, nil
		s.MaxConn, s.Backlog = 0, 0
	}
	if !s.Kind.HasBackend() {
		s.Proxy.Check, s.FullConn = nil, 0
	}
}

// checkTargets looks the backends of a frontend up.
func (p *parser) checkTargets(s *proxyState) {
	if s.DefaultBackend != "" && s.Kind.HasFrontend() {
		p.checkTarget(s, s.defaultBackendAt, s.DefaultBackend, "default_backend")
	}
	for _, u := range s.UseBackend {
		if u.Format == nil { // a name that is made by a format is looked up for each request
			p.checkTarget(s, u.Pos, u.Backend, "use_backend")
		}
	}
}

// checkBackendUses looks for the backends that expressions name.
func (p *parser) checkBackendUses(s *proxyState) {
	for _, use := range s.backendUses {
		if p.backendNamed(use.name) == nil {
			p.alert(use.at, "%s '%s' : unable to find backend '%s' that is named here%s", s.Kind, s.Name, use.name, didYouMean(use.name, p.backendNames()))
		}
	}
}

// checkSituationUses looks for the frontends and servers that expressions name.
func (p *parser) checkSituationUses(s *proxyState) {
	for _, use := range s.frontendUses {
		if !slices.ContainsFunc(p.named[use.name], func(f *proxyState) bool { return f.Kind.HasFrontend() }) {
			p.alert(use.at, "%s '%s' : unable to find frontend '%s' that is named here", s.Kind, s.Name, use.name)
		}
	}
	for _, use := range s.serverUses {
		backend, server, both := strings.Cut(use.name, "/")
		of := s
		if !both {
			server = backend
		} else if of = p.backendNamed(backend); of == nil {
			p.alert(use.at, "%s '%s' : unable to find backend '%s' that is named here%s", s.Kind, s.Name, backend, didYouMean(backend, p.backendNames()))
			continue
		}
		if _, known := of.serverAt[server]; !known {
			p.alert(use.at, "%s '%s' : unable to find server '%s' that is named here", s.Kind, s.Name, use.name)
		}
	}
}

// backendNamed returns the first proxy of a name that has servers, nil if there is none.
func (p *parser) backendNamed(name string) *proxyState {
	for _, s := range p.named[name] {
		if s.Kind.HasBackend() {
			return s
		}
	}
	return nil
}

func (p *parser) backendNames() (names []string) {
	for _, s := range p.proxies {
		if s.Kind.HasBackend() {
			names = append(names, s.Name)
		}
	}
	return names
}

func (p *parser) checkTarget(s *proxyState, at Pos, name, rule string) {
	t := p.backendNamed(name)
	switch {
	case t == nil:
		p.alert(at, "%s '%s' : unable to find required %s '%s'%s", s.Kind, s.Name, rule, name, didYouMean(name, p.backendNames()))
	case t == s && rule == "default_backend":
		p.alert(at, "%s '%s' : loop detected for %s '%s'", s.Kind, s.Name, rule, name)
	case s.HTTP && !t.HTTP:
		p.alert(at, "http %s '%s' tries to use incompatible tcp %s '%s' (%s) in a '%s' rule (see 'mode')", s.Kind, s.Name, t.Kind, name, t.Pos, rule)
	case !s.HTTP && t.HTTP:
		p.alert(at, "tcp %s '%s' with http %s '%s' (%s) in a '%s' rule is valid HAProxy but not supported by waggle yet: give both the same 'mode'", s.Kind, s.Name, t.Kind, name, t.Pos, rule)
	}
}

func (p *parser) checkServers(s *proxyState) {
	var names []string
	known := make(map[string]bool)
	for _, r := range p.cfg.Resolvers {
		names = append(names, r.Name)
		known[r.Name] = true
	}
	for i := range s.Servers {
		srv := &s.Servers[i]
		if srv.Resolvers != "" && !known[srv.Resolvers] {
			at, ok := s.resolversAt[srv.Resolvers]
			if !ok {
				at = srv.Pos
			}
			p.alert(at, "%s '%s', server '%s' : unable to find required resolvers '%s'%s", s.Kind, s.Name, srv.Name, srv.Resolvers, didYouMean(srv.Resolvers, names))
		}
		if srv.Addr.Addr().IsValid() {
			srv.Resolvers = "" // there is no name to follow
		}
		if srv.MinConn >= srv.MaxConn { // as HAProxy does, also where only minconn is said
			srv.MaxConn, srv.MinConn = max(srv.MaxConn, srv.MinConn), 0
		}
	}
}

// checkHTTP drops what needs HTTP from a proxy in TCP mode, with a warning for what was written in
// the proxy itself rather than inherited.
func (p *parser) checkHTTP(s *proxyState) {
	if s.HTTP {
		for _, at := range s.contentUses {
			p.warn(at, "%s '%s' : what looks at the first bytes of a TCP client is of no use in HTTP mode; of a client of TLS see ssl_fc_sni and its kin", s.Kind, s.Name)
		}
		return
	}
	ignored := func(at Pos, what string) {
		p.warn(at, "'%s' ignored for %s '%s' as it requires HTTP mode", what, s.Kind, s.Name)
	}
	if s.Stats != nil {
		ignored(s.Stats.Pos, "stats")
		s.Stats = nil
	}
	if s.Options.ForwardFor != nil {
		ignored(s.Pos, "option forwardfor")
		s.Options.ForwardFor = nil
	}
	if s.Options.OriginalTo != nil {
		ignored(s.Pos, "option originalto")
		s.Options.OriginalTo = nil
	}
	if s.Options.BufferRequest {
		ignored(s.Pos, "option http-buffer-request")
		s.Options.BufferRequest = false
	}
	if s.CookieCapture.Length > 0 {
		ignored(s.Pos, "capture cookie")
		s.CookieCapture = CookieCapture{}
	}
	if s.MonitorURI != "" && s.Kind.HasFrontend() {
		ignored(s.Pos, "monitor-uri")
		s.MonitorURI = ""
	}
	if s.Options.HTTPLog && s.Kind.HasFrontend() {
		ignored(s.Pos, "option httplog")
		s.Options.HTTPLog, s.Options.TCPLog = false, true
	}
	for _, rules := range []struct {
		name string
		list *[]HTTPRule
	}{{"http-request", &s.HTTPRequest}, {"http-request", &s.redirects}, {"http-response", &s.HTTPResponse}, {"http-after-response", &s.HTTPAfterResponse}} {
		if len(*rules.list) > 0 {
			ignored((*rules.list)[0].Pos, rules.name)
		}
		*rules.list = nil
	}
}

// checkTimeouts warns of timeouts without which a silent peer holds its connection for ever.
func (p *parser) checkTimeouts(s *proxyState) {
	var missing []string
	if s.Kind.HasFrontend() && len(s.Binds) > 0 && s.Timeouts.Client == 0 {
		missing = append(missing, "client")
	}
	if s.Kind.HasBackend() && len(s.Servers) > 0 {
		if s.Timeouts.Connect == 0 {
			missing = append(missing, "connect")
		}
		if s.Timeouts.Server == 0 {
			missing = append(missing, "server")
		}
	}
	if len(missing) > 0 {
		p.warn(s.Pos, "missing timeouts for %s '%s': without 'timeout %s' silent peers hold their connections for ever", s.Kind, s.Name, strings.Join(missing, "', 'timeout "))
	}
}

// warningsAreErrors makes `zero-warning` true.
func (p *parser) warningsAreErrors() {
	kept := p.remarks[:0]
	for _, d := range p.remarks {
		if d.Severity == Warning {
			d.Severity = Alert
			d.Text += " ('zero-warning' is set)"
			p.errors = append(p.errors, d)
			continue
		}
		kept = append(kept, d)
	}
	p.remarks = kept
}
