package config

import (
	"maps"
	"slices"

	"waggle/pkg/sample"
)

// proxyState is a proxy, or a defaults section, while it is read.
type proxyState struct {
	Proxy
	defaultServer Server

	places           map[string]int // see serverIndex
	templates        []int          // the places of templates, with them
	serverAt         map[string]Pos // where each server's name was taken
	idAt             map[int]Pos    // and each server's id
	redirects        []HTTPRule     // run after all http-request rules
	defaultBackendAt Pos
	turns            uint16 // a bit for each turn of which the section itself has rules
	formatBy         string // what has set the log format in this section
	errorFormatBy    string
	dataFormatBy     string
	timeoutsBefore   Timeouts       // those of the defaults section
	heir             string         // of a defaults section with rules: the kind of sections that have them
	resolversAt      map[string]Pos // where each resolvers section was first asked for
	referenced       bool           // of a defaults section: named by a `from`
	bindWritten      bool           // also if the line was wrong
	check            checkState
	inheritedStats   bool // Stats is that of the defaults section
	logFormat        *pendingFormat
	errorFormat      *pendingFormat
	dataFormat       *pendingFormat
	uniqueID         *pendingFormat
	captureUses      []captureUse
	contentUses      []Pos     // lines that look at the first bytes of a TCP client
	tableUses        []nameUse // "" is the proxy's own
	backendUses      []nameUse
	frontendUses     []nameUse
	serverUses       []nameUse // [<backend>/]<server>
	userlistUses     []nameUse
	emailAlert       emailAlert
	errorUses        []errorUse
	hasTable         bool // there is a stick-table line, also a faulty one, so that its uses are not reported as well
}

// newProxyState has HAProxy's defaults.
func newProxyState() *proxyState {
	s := &proxyState{}
	s.Retries, s.RetryOn = 3, RetryConnFailure
	s.Balance.Algorithm = "roundrobin"
	s.Options.RedispatchInterval = -1
	s.defaultServer.Weight = 1
	s.defaultServer.Check.Rise, s.defaultServer.Check.Fall = 2, 3
	return s
}

// derive gives a proxy that begins with what a defaults section says and shares no memory with it
// that either could change.
func (s *proxyState) derive() *proxyState {
	d := *s
	d.Logs = slices.Clone(s.Logs)
	d.ErrorFiles = maps.Clone(s.ErrorFiles)
	d.HTTPErrors = maps.Clone(s.HTTPErrors)
	d.Balance.Args = slices.Clone(s.Balance.Args)
	d.ACLs = nil // they are known in the defaults section only
	d.HTTPRequest = slices.Clone(s.HTTPRequest)
	d.HTTPResponse = slices.Clone(s.HTTPResponse)
	d.HTTPAfterResponse = slices.Clone(s.HTTPAfterResponse)
	d.TCPConnection, d.TCPSession, d.TCPContent = slices.Clone(s.TCPConnection), slices.Clone(s.TCPSession), slices.Clone(s.TCPContent)
	d.errorUses = slices.Clone(s.errorUses)
	d.RequestCaptures, d.ResponseCaptures = slices.Clone(s.RequestCaptures), slices.Clone(s.ResponseCaptures)
	d.captureUses, d.contentUses = slices.Clone(s.captureUses), nil
	d.redirects = slices.Clone(s.redirects)
	d.defaultServer = s.defaultServer.clone()
	d.check = s.check.inherit()
	if s.Stats != nil {
		stats := *s.Stats
		stats.Auth = slices.Clone(stats.Auth)
		stats.Scope = slices.Clone(stats.Scope)
		stats.Admin = slices.Clone(stats.Admin)
		stats.Rules = slices.Clone(stats.Rules)
		d.Stats, d.inheritedStats = &stats, true
	}
	d.serverAt, d.idAt, d.referenced = nil, nil, false
	d.resolversAt = maps.Clone(s.resolversAt)
	d.turns, d.timeoutsBefore, d.heir = 0, s.Timeouts, ""
	d.formatBy, d.errorFormatBy, d.dataFormatBy = "", "", ""
	d.backendUses = slices.Clone(s.backendUses)
	d.frontendUses = slices.Clone(s.frontendUses)
	d.serverUses = slices.Clone(s.serverUses)
	d.userlistUses = slices.Clone(s.userlistUses)
	d.tableUses = slices.Clone(s.tableUses)
	return &d
}

func (s *Server) clone() Server {
	c := *s
	c.ResolveNet = slices.Clone(s.ResolveNet)
	c.InitAddr = slices.Clone(s.InitAddr)
	c.Params = slices.Clone(s.Params)
	return c
}

// acl gives a named ACL of the proxy, or nil.
func (s *proxyState) acl(name string) *sample.ACL { return s.ACLs[name] }

// noteResolvers keeps where a resolvers section was first asked for.
func (s *proxyState) noteResolvers(name string, at Pos) {
	if s.resolversAt == nil {
		s.resolversAt = make(map[string]Pos)
	}
	if _, ok := s.resolversAt[name]; !ok {
		s.resolversAt[name] = at
	}
}

// nameUse is a rule or an expression that names something, which may be declared behind it.
type nameUse struct {
	at   Pos
	name string
}
