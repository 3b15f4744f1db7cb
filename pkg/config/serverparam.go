package config

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// serverParam is a parameter of a server, server-template or default-server line.
type serverParam struct {
	name   string
	args   string // "" for a word without value
	doc    string
	status Status
	why    string
	parse  func(srv *Server, value string) error
	// inStatement takes the place of parse where more than the value counts; it reports errors itself.
	inStatement func(s *statement, at int, value string, srv *Server)
}

// serverParams are the parameters that waggle acts on, and the others of HAProxy 3.2 behind them. They are made once,
// and nobody changes them.
var serverParams = sync.OnceValue(func() []serverParam {
	return append([]serverParam{
		{name: "check", doc: "health checks", parse: set(func(s *Server) { s.Check.Enabled = true })},
		{name: "no-check", doc: "cancels an inherited check", parse: set(func(s *Server) { s.Check.Enabled = false })},
		{name: "backup", doc: "used when no other server is usable", parse: set(func(s *Server) { s.Backup = true })},
		{name: "non-stick", doc: "stick tables do not learn it, so that no client sticks to it", parse: set(func(s *Server) { s.NonStick = true })},
		{name: "stick", doc: "cancels an inherited non-stick", parse: set(func(s *Server) { s.NonStick = false })},
		{name: "no-backup", doc: "cancels an inherited backup", parse: set(func(s *Server) { s.Backup = false })},
		{name: "disabled", doc: "starts in maintenance", parse: set(func(s *Server) { s.Disabled = true })},
		{name: "enabled", doc: "cancels an inherited disabled", parse: set(func(s *Server) { s.Disabled = false })},
		{name: "send-proxy", doc: "PROXY protocol version 1 to the server", parse: set(func(s *Server) { s.SendProxy = 1 })},
		{name: "send-proxy-v2", doc: "PROXY protocol version 2 to the server", parse: set(func(s *Server) { s.SendProxy = 2 })},
		{name: "no-send-proxy", doc: "cancels an inherited send-proxy", parse: set(func(s *Server) { s.SendProxy = 0 })},
		{name: "no-send-proxy-v2", doc: "cancels an inherited send-proxy-v2", parse: set(func(s *Server) { s.SendProxy = 0 })},
		{name: "weight", args: "<0..256>", doc: "share of the load; 0 for none", parse: number(0, 256, func(s *Server) *int { return &s.Weight })},
		{name: "minconn", args: "<n>", doc: "connections or requests at once while the backend has few; its limit grows to maxconn as the backend's sessions grow to fullconn", parse: number(0, math.MaxInt32, func(s *Server) *int { return &s.MinConn })},
		{name: "maxconn", args: "<n>", doc: "connections or requests at once; 0 for no limit", parse: number(0, math.MaxInt32, func(s *Server) *int { return &s.MaxConn })},
		{name: "maxqueue", args: "<n>", doc: "length of the server's own queue; 0 for no limit", parse: number(0, math.MaxInt32, func(s *Server) *int { return &s.MaxQueue })},
		{name: "rise", args: "<n>", doc: "good checks until it is up", parse: number(1, math.MaxInt16, func(s *Server) *int { return &s.Check.Rise })},
		{name: "fall", args: "<n>", doc: "bad checks until it is down", parse: number(1, math.MaxInt16, func(s *Server) *int { return &s.Check.Fall })},
		{name: "port", args: "<port>", doc: "port to check; 0 for its own", parse: number(0, math.MaxUint16, func(s *Server) *int { return &s.Check.Port })},
		{name: "id", args: "<n>", doc: "the server's number in statistics", parse: number(1, math.MaxInt32, func(s *Server) *int { return &s.ID })},
		{name: "inter", args: "<time>", doc: "between two checks", parse: interval(func(s *Server) *time.Duration { return &s.Check.Inter })},
		{name: "fastinter", args: "<time>", doc: "the same while the state is changing", parse: interval(func(s *Server) *time.Duration { return &s.Check.FastInter })},
		{name: "downinter", args: "<time>", doc: "the same while it is down", parse: interval(func(s *Server) *time.Duration { return &s.Check.DownInter })},
		{name: "slowstart", args: "<time>", doc: "from down to full weight; 0 for at once", parse: span(func(s *Server) *time.Duration { return &s.Slowstart })},
		{name: "addr", args: "<ip>", doc: "address to check", parse: address(func(s *Server) *netip.Addr { return &s.Check.Addr })},
		{name: "check-send-proxy", doc: "checks begin with the PROXY protocol, also on another address or port", parse: set(func(s *Server) { s.Check.SendProxy = true })},
		{name: "no-check-send-proxy", doc: "cancels an inherited check-send-proxy", parse: set(func(s *Server) { s.Check.SendProxy = false })},
		{name: "cookie", args: "<value>", doc: "the server's cookie, shown in statistics", parse: func(s *Server, v string) error { s.Cookie = v; return nil }},
		{name: "resolvers", args: "<id>", doc: "the resolvers section that follows the name", parse: func(s *Server, v string) error { s.Resolvers = v; return nil }},
		{name: "resolve-prefer", args: "ipv4|ipv6", doc: "the family that is preferred", parse: resolvePrefer},
		{name: "resolve-net", args: "<network>[,…]", doc: "networks that are preferred", parse: resolveNet},
		{name: "resolve-opts", args: "allow-dup-ip|prevent-dup-ip|ignore-weight", doc: "whether slots may share an address", parse: resolveOpts},
		{name: "init-addr", args: "last|libc|none|<ip>[,…]", doc: "where the first address comes from", parse: initAddr},
		{name: "agent-check", doc: "an agent says what the server's state and weight are", parse: set(func(s *Server) { s.Agent.Enabled = true })},
		{name: "no-agent-check", doc: "cancels an inherited agent-check", parse: set(func(s *Server) { s.Agent.Enabled = false })},
		{name: "agent-port", args: "<port>", doc: "the agent's port", parse: number(1, math.MaxUint16, func(s *Server) *int { return &s.Agent.Port })},
		{name: "agent-addr", args: "<ip>", doc: "the agent's address; the server's if not written", parse: address(func(s *Server) *netip.Addr { return &s.Agent.Addr })},
		{name: "agent-inter", args: "<time>", doc: "between two questions to the agent", parse: interval(func(s *Server) *time.Duration { return &s.Agent.Inter })},
		{name: "agent-send", args: "<text>", doc: "what the agent is sent first", parse: func(s *Server, v string) error { s.Agent.Send = v; return nil }},
		{name: "track", args: "[<backend>/]<server>", doc: "follows the state of another server", parse: func(s *Server, v string) error { s.Track = v; return nil }},
		{name: "init-state", args: "fully-up|up|down|fully-down", doc: "the state before the first check", parse: oneWord(func(s *Server) *string { return &s.InitState }, "fully-up", "up", "down", "fully-down")},
		{name: "observe", args: "layer4|layer7", doc: "errors in traffic count as failed checks", parse: oneWord(func(s *Server) *string { return &s.Observe }, "none", "layer4", "layer7")},
		{name: "on-error", args: "fail-check|fastinter|sudden-death|mark-down", doc: "what too many errors in traffic come to", parse: oneWord(func(s *Server) *string { return &s.OnError }, "fastinter", "fail-check", "sudden-death", "mark-down")},
		{name: "error-limit", args: "<n>", doc: "errors in a row in traffic until on-error, 10", parse: number(1, math.MaxInt32, func(s *Server) *int { return &s.ErrorLimit })},
		{name: "on-marked-up", args: "shutdown-backup-sessions", doc: "ends the connections of backup servers when it comes up", parse: func(s *Server, v string) error {
			if v != "shutdown-backup-sessions" {
				return fmt.Errorf("expects 'shutdown-backup-sessions', not '%s'", v)
			}
			s.ShutdownBackups = true
			return nil
		}},
		{name: "tcp-ut", args: "<time>", doc: "how long it may leave data without an acknowledgement; 0 for as long as the system allows", parse: span(func(s *Server) *time.Duration { return &s.UserTimeout })},
		{name: "on-marked-down", args: "shutdown-sessions", doc: "ends its connections when it goes down", parse: onMarkedDown},
	}, slices.Concat(sourceParams(), tlsServerParams(), foreignServerParams())...)
})

func foreignServerParams() []serverParam {
	var params []serverParam
	add := func(status Status, doc, why, names string) {
		for name := range strings.FieldsSeq(names) {
			name, args, _ := strings.Cut(name, "=")
			if args != "" {
				args = "<" + args + ">"
			}
			params = append(params, serverParam{name: name, args: args, doc: doc, status: status, why: why})
		}
	}
	add(Ignored, "tuning of connections", "it tunes HAProxy's own machinery", "tfo no-tfo shard=n log-bufsize=size pool-low-conn=-1..")
	add(Ignored, "identity", "nothing here uses it", "guid=text")
	add(Ignored, "turning off what is off", "it is off", `no-check-reuse-pool no-send-proxy-v2-ssl no-send-proxy-v2-ssl-cn`)
	add(Ignored, "resumption of TLS sessions", "crypto/tls decides", "no-ssl-reuse ssl-reuse")
	add(Unsupported, "variants of checks", "", `check-alpn=list check-pool-conn-name=expr check-proto=name check-reuse-pool check-via-socks4`)
	add(Unsupported, "TLS to the server", "", `allow-0rtt client-sigalgs=list crl-file=file force-sslv3 npn=list sigalgs=list`)
	add(Unsupported, "variants of the PROXY protocol", "", "proxy-v2-options=list send-proxy-v2-ssl send-proxy-v2-ssl-cn set-proxy-v2-tlv-fmt=format")
	add(Unsupported, "limits and connection pools", "", "max-reuse=n pool-conn-name=expr pool-max-conn=n pool-purge-delay=time strict-maxconn idle-ping=time")
	add(Unsupported, "the way to the server", "", "namespace=name usesrc=addr socks4=addr proto=name ws=mode log-proto=name redir=prefix hash-key=key")
	return params
}

// serverParams reads parameters from argument i on; false means that an error was reported.
func (s *statement) serverParams(i int, srv *Server, isDefault bool) bool {
	params := serverParams()
	for ; i < len(s.args); i++ {
		got := s.args[i].text
		param := findParam(params, got, func(p serverParam) string { return p.name })
		if param == nil {
			names := make([]string, len(params))
			for n, p := range params {
				names[n] = p.name
			}
			s.errorf(i, "'%s' : unknown keyword '%s'%s", s.serverName(srv), got, didYouMean(got, names))
			return false
		}
		if isDefault && got == "id" {
			s.errorf(i, "'id' is not allowed in a 'default-server' line")
			return false
		}
		at, value := i, ""
		srv.Params = append(srv.Params, got)
		if param.args != "" {
			i++
			if value = s.text(i); value == "" {
				s.errorf(at, "'%s' : '%s' expects %s", s.serverName(srv), got, param.args)
				return false
			}
			if got == "addr" || got == "source" {
				if !s.expandAddress(i) {
					return false
				}
				value = s.text(i)
			}
			srv.Params = append(srv.Params, value)
		}
		switch param.status {
		case Unsupported:
			s.unsupported(at, fmt.Sprintf("'%s' on a '%s' line", got, s.name()))
			return false
		case Ignored:
			if err := checkIgnored(got, strings.Trim(param.args, "<>"), value); err != nil {
				s.errorf(i, "'%s' : %s", s.serverName(srv), err)
				return false
			}
			s.noticef(at, "'%s' on a '%s' line is ignored: %s", got, s.name(), param.why)
		default:
			if param.inStatement != nil {
				param.inStatement(s, i, value, srv)
				continue
			}
			if err := param.parse(srv, value); err != nil {
				s.errorf(i, "'%s' : '%s' %s", s.serverName(srv), got, err)
				return false
			}
			if got == "resolvers" {
				s.p.proxy.noteResolvers(value, s.at(i))
			}
		}
	}
	return true
}

func (s *statement) serverName(srv *Server) string {
	if srv.Name == "" {
		return s.name()
	}
	return s.name() + " " + srv.Name
}

func set(f func(*Server)) func(*Server, string) error {
	return func(s *Server, _ string) error { f(s); return nil }
}

func number(low, high int, field func(*Server) *int) func(*Server, string) error {
	return func(s *Server, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < low || n > high {
			return fmt.Errorf("expects an integer between %d and %d, not '%s'", low, high, v)
		}
		*field(s) = n
		return nil
	}
}

// span is interval for what may be 0.
func span(field func(*Server) *time.Duration) func(*Server, string) error {
	return func(s *Server, v string) error {
		d, err := parseTime(v, "time", time.Millisecond)
		if err != nil {
			return fmt.Errorf("cannot be '%s': %w", v, err)
		}
		*field(s) = d
		return nil
	}
}

func interval(field func(*Server) *time.Duration) func(*Server, string) error {
	keep := span(field)
	return func(s *Server, v string) error {
		if err := keep(s, v); err != nil {
			return err
		}
		if *field(s) == 0 {
			return fmt.Errorf("cannot be '%s': minimum value is 1 ms", v)
		}
		return nil
	}
}

func address(field func(*Server) *netip.Addr) func(*Server, string) error {
	return func(s *Server, v string) error {
		a, err := netip.ParseAddr(v)
		if v == localhost {
			a, err = loopback(false), nil
		}
		if err != nil {
			return fmt.Errorf("expects an IP address, not '%s'", v)
		}
		*field(s) = a
		return nil
	}
}

// oneWord keeps one of some words.
func oneWord(field func(*Server) *string, valid ...string) func(*Server, string) error {
	return func(s *Server, v string) error {
		if !slices.Contains(valid, v) {
			return fmt.Errorf("expects one of %s, not '%s'%s", quoteList(valid), v, didYouMean(v, valid))
		}
		*field(s) = v
		return nil
	}
}

func resolvePrefer(s *Server, v string) error {
	if v != "ipv4" && v != "ipv6" {
		return fmt.Errorf("expects 'ipv4' or 'ipv6', not '%s'", v)
	}
	s.ResolvePrefer = v
	return nil
}

func resolveNet(s *Server, v string) error {
	s.ResolveNet = nil
	for text := range strings.SplitSeq(v, ",") {
		p, err := parseNetwork(text)
		if err != nil {
			return fmt.Errorf("expects networks such as 10.0.0.0/8, not '%s'", text)
		}
		s.ResolveNet = append(s.ResolveNet, p)
	}
	return nil
}

func resolveOpts(s *Server, v string) error {
	valid := []string{"allow-dup-ip", "prevent-dup-ip", "ignore-weight"}
	for opt := range strings.SplitSeq(v, ",") {
		switch opt {
		case "allow-dup-ip":
			s.AllowDupIP = true
		case "prevent-dup-ip":
			s.AllowDupIP = false
		case "ignore-weight":
			s.IgnoreWeight = true
		default:
			return fmt.Errorf("knows %s, not '%s'%s", quoteList(valid), opt, didYouMean(opt, valid))
		}
	}
	return nil
}

func initAddr(s *Server, v string) error {
	s.InitAddr = nil
	methods := []string{"last", "libc", "none"}
	for method := range strings.SplitSeq(v, ",") {
		if slices.Contains(methods, method) {
			s.InitAddr = append(s.InitAddr, InitAddr{Method: method})
			continue
		}
		ip, err := netip.ParseAddr(method)
		if err != nil {
			return fmt.Errorf("knows 'last', 'libc', 'none' and addresses, not '%s'%s", method, didYouMean(method, methods))
		}
		s.InitAddr = append(s.InitAddr, InitAddr{Method: "ip", IP: ip})
	}
	return nil
}

func onMarkedDown(s *Server, v string) error {
	if v != "shutdown-sessions" {
		return fmt.Errorf("expects 'shutdown-sessions', not '%s'", v)
	}
	s.ShutdownSessions = true
	return nil
}
