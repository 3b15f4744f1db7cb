package config

import (
	"math"
	"strings"
	"time"

	"waggle/pkg/sample"
)

// proxyDirectives are the settings of frontend, listen, backend and defaults sections, apart from the
// families that have files of their own.
func proxyDirectives() []directive {
	return []directive{
		{name: "mode", in: anyProxy, args: "tcp|http", doc: "whether connections are relayed or requests are understood", parse: (*statement).mode},
		{name: "bind", in: frontSide, args: "<address>[,…] [parameters]", doc: "addresses to listen on", parse: (*statement).bind},
		{name: "maxconn", in: frontOrDef, args: "<n>", doc: "connections at once; more wait in the kernel's queue", parse: func(s *statement) {
			s.number(0, math.MaxInt32, &s.p.proxy.MaxConn)
		}},
		{name: "rate-limit sessions", in: frontOrDef, args: "<n>", doc: "new sessions in a second, 0 for any number; more wait in the kernel's queue", parse: func(s *statement) {
			s.number(0, math.MaxInt32, &s.p.proxy.RateLimit)
		}},
		{name: "fullconn", in: backOrDef, args: "<n>", doc: "the load at which servers get their full maxconn; 0 for a tenth of the maxconn of the frontends that lead here, as where it is not said", parse: func(s *statement) {
			s.number(0, math.MaxInt32, &s.p.proxy.FullConn)
		}},
		{name: "backlog", in: frontOrDef, args: "<n>", doc: "length of the kernel's queue of connections", parse: func(s *statement) {
			s.number(0, math.MaxInt32, &s.p.proxy.Backlog)
		}},
		{name: "description", in: inProxies, args: "<text>", doc: "a text for the stats page", parse: func(s *statement) {
			if s.text(0) == "" {
				s.errorf(-1, "'description' expects a text")
			}
			s.p.proxy.Description = s.rest()
		}},
		{name: "id", in: inProxies, args: "<n>", doc: "the proxy's number in statistics", parse: (*statement).proxyID},
		{name: "disabled", in: anyProxy, doc: "the proxy is not started", parse: func(s *statement) {
			if s.atMost(0) {
				s.p.proxy.Disabled = true
			}
		}},
		{name: "enabled", in: anyProxy, doc: "cancels an inherited disabled", parse: func(s *statement) {
			if s.atMost(0) {
				s.p.proxy.Disabled = false
			}
		}},
		{name: "log", in: anyProxy, args: "global | <target> …", doc: "where logs go", switchable: true, parse: func(s *statement) {
			s.log(&s.p.proxy.Logs, true)
		}},
		{name: "log-format", in: frontOrDef, args: "<format>", doc: "what a log line looks like", parse: func(s *statement) {
			s.overrides(&s.p.proxy.formatBy)
			s.keepFormat(&s.p.proxy.logFormat)
		}},
		{name: "error-log-format", in: frontOrDef, args: "<format>", doc: "what the line of a connection looks like that came to nothing", parse: func(s *statement) {
			s.overrides(&s.p.proxy.errorFormatBy)
			s.keepFormat(&s.p.proxy.errorFormat)
		}},
		{name: "log-format-sd", in: frontOrDef, args: "<format>", doc: "structured data of lines in rfc5424", parse: func(s *statement) {
			s.overrides(&s.p.proxy.dataFormatBy)
			s.keepFormat(&s.p.proxy.dataFormat)
		}},
		{name: "unique-id-format", in: frontOrDef, args: "<format>", doc: "what identifies a request", parse: func(s *statement) {
			s.keepFormat(&s.p.proxy.uniqueID)
		}},
		{name: "unique-id-header", in: frontOrDef, args: "<name>", doc: "the header that carries it to the server", parse: func(s *statement) {
			if v, ok := s.one("the name of a header"); ok {
				if !isToken(v) {
					s.errorf(0, "'unique-id-header' expects the name of a header, not '%s'", v)
					return
				}
				s.p.proxy.UniqueIDHeader = v
			}
		}},
		{name: "http-send-name-header", in: backOrDef, args: "<name>", doc: "the header that tells each server its name; what clients send under that name goes", parse: (*statement).sendNameHeader},
		{name: "capture request header", in: frontSide, args: "<name> len <n>", doc: "keeps a header of requests for the log", parse: func(s *statement) {
			s.captureHeader(&s.p.proxy.RequestCaptures)
		}},
		{name: "capture response header", in: frontSide, args: "<name> len <n>", doc: "keeps a header of responses for the log", parse: func(s *statement) {
			s.captureHeader(&s.p.proxy.ResponseCaptures)
		}},
		{name: "capture cookie", in: frontSide, args: "<name> len <n>", doc: "keeps a cookie of requests and of responses for the log; <name> is what it begins with, or, with '=' behind, all of it", parse: (*statement).captureCookie},
		{name: "declare capture", in: frontSide, args: "request|response len <n>", doc: "makes a slot that rules fill", parse: (*statement).declareCapture},
		{name: "monitor fail", in: frontSide, args: "if|unless <condition>", doc: "makes monitor-uri answer 503", parse: (*statement).monitorFail},
		{name: "http-error", in: anyProxy, args: "status <code> [content-type <type>] [string|lf-string|file|lf-file <x>] [hdr <name> <format>]…", doc: "a response in place of an error page", parse: (*statement).httpError},
		{name: "log-tag", in: anyProxy, args: "<text>", doc: "the program's name in logs", parse: func(s *statement) {
			if v, ok := s.one("a tag"); ok {
				s.p.proxy.LogTag = v
			}
		}},
		{name: "monitor-uri", in: frontOrDef, args: "<uri>", doc: "answered with 200 for load balancers in front", parse: func(s *statement) {
			if v, ok := s.one("a URI"); ok {
				s.p.proxy.MonitorURI = v
			}
		}},
		{name: "retries", in: backOrDef, args: "<n>", doc: "attempts to connect after a failed one", parse: func(s *statement) {
			s.number(0, 1000, &s.p.proxy.Retries)
		}},
		{name: "balance", in: backOrDef, args: "<algorithm>", doc: "how a server is chosen", parse: (*statement).balance},
		{name: "hash-type", in: backOrDef, args: "map-based|consistent [sdbm|djb2|wt6|crc32|none] [avalanche]", doc: "how balance uri, url_param, hdr and hash find the server of a key", parse: (*statement).hashType},
		{name: "hash-balance-factor", in: backOrDef, args: "<percent>", doc: "bounds the load of a server with a consistent hash, in percent of its share", parse: (*statement).hashFactor},
		{name: "hash-preserve-affinity", in: backOrDef, args: "always", doc: "a key waits for its server when that is full", parse: (*statement).hashAffinity},
		{name: "http-reuse", in: backOrDef, args: "never|safe|aggressive|always", doc: "who may share a server connection", parse: (*statement).httpReuse},
		{name: "retry-on", in: backOrDef, args: "<cause> …", doc: "after which failures a request is sent again", parse: (*statement).retryOn},

		timeout("check", backOrDef, "for the answer to a health check", func(t *Timeouts) *time.Duration { return &t.Check }),
		timeout("client", frontOrDef, "of silence from the client", func(t *Timeouts) *time.Duration { return &t.Client }),
		timeout("client-fin", frontOrDef, "the same on a half-closed connection", func(t *Timeouts) *time.Duration { return &t.ClientFin }),
		timeout("client-hs", frontOrDef, "for the handshake of TLS", func(t *Timeouts) *time.Duration { return &t.ClientHandshake }),
		timeout("connect", backOrDef, "for a connection to a server", func(t *Timeouts) *time.Duration { return &t.Connect }),
		timeout("http-keep-alive", anyProxy, "for a further request", func(t *Timeouts) *time.Duration { return &t.HTTPKeepAlive }),
		timeout("http-request", anyProxy, "for the whole head of a request", func(t *Timeouts) *time.Duration { return &t.HTTPRequest }),
		timeout("queue", backOrDef, "in the queue of a full server", func(t *Timeouts) *time.Duration { return &t.Queue }),
		timeout("server", backOrDef, "of silence from the server", func(t *Timeouts) *time.Duration { return &t.Server }),
		timeout("server-fin", backOrDef, "the same on a half-closed connection", func(t *Timeouts) *time.Duration { return &t.ServerFin }),
		timeout("tarpit", anyProxy, "that a tarpitted request is held; timeout connect where it is not said", func(t *Timeouts) *time.Duration { return &t.Tarpit }),
		timeout("tunnel", backOrDef, "of silence in both directions of a tunnel", func(t *Timeouts) *time.Duration { return &t.Tunnel }),
	}
}

func timeout(what string, in sections, doc string, field func(*Timeouts) *time.Duration) directive {
	return directive{
		name: "timeout " + what, in: in, args: "<time>", doc: "longest time " + doc,
		parse: func(s *statement) {
			p := s.p.proxy
			if *field(&p.Timeouts) != *field(&p.timeoutsBefore) && s.p.in != inDefaults {
				s.warnf(-1, "'%s' is set above in this section, too; this line counts", s.name())
			}
			s.duration(time.Millisecond, field(&p.Timeouts))
		},
	}
}

func (s *statement) mode() {
	switch s.text(0) {
	case "log", "spop", "haterm":
		s.unsupported(0, "mode '"+s.text(0)+"'")
	case "health":
		s.errorf(0, "'mode health' is gone from HAProxy; use 'monitor-uri' or 'http-request return'")
	default:
		if s.oneOf(0, "mode", "tcp", "http") && s.atMost(1) {
			s.p.proxy.HTTP = s.text(0) == "http"
		}
	}
}

func (s *statement) proxyID() {
	id, ok := s.integer(0, 1, math.MaxInt32)
	if !ok || !s.atMost(1) {
		return
	}
	for _, other := range s.p.proxies {
		if other.ID == id && other != s.p.proxy {
			s.errorf(0, "id %d is already that of %s '%s' declared at %s", id, other.Kind, other.Name, other.Pos)
			return
		}
	}
	s.p.proxy.ID = id
}

func (s *statement) httpReuse() {
	policies := map[string]HTTPReuse{"never": ReuseNever, "safe": ReuseSafe, "aggressive": ReuseAggressive, "always": ReuseAlways}
	if s.oneOf(0, "policy", "never", "safe", "aggressive", "always") && s.atMost(1) {
		s.p.proxy.Options.HTTPReuse = policies[s.text(0)]
	}
}

func (s *statement) monitorFail() {
	if len(s.args) == 0 {
		s.errorf(-1, "'monitor fail' expects 'if' or 'unless' followed by a condition")
		return
	}
	if c, ok := s.condition(0, "'monitor fail'"); ok {
		s.takesTurn(turnMonitor)
		s.p.proxy.MonitorFail = append(s.p.proxy.MonitorFail, c)
	}
}

// env is what expressions of the current proxy may ask for. first is the index among the arguments of
// the first word that is compiled.
func (s *statement) exprEnv(first int) sample.Env {
	env := sample.Env{
		ACL:      s.p.proxy.acl,
		ReadFile: func(name string) ([]byte, error) { return s.p.opts.ReadFile(s.p.path(name)) },
		Getenv:   s.p.env.lookup,
		Hostname: s.p.opts.Hostname,
		Warn:     func(word int, text string) { s.warnf(first+word, "%s", text) },

		References: s.p.cfg.References,
		File:       s.pos.File,
		Line:       s.pos.Line,
	}
	s.p.proxy.noteUses(&env, s.at(first))
	return env
}

// noteUses has the proxy keep what expressions at a place name, which may be declared behind it.
func (s *proxyState) noteUses(env *sample.Env, at Pos) {
	note := func(uses *[]nameUse) func(string) {
		return func(name string) { *uses = append(*uses, nameUse{at, name}) }
	}
	env.Content = func() {
		if n := len(s.contentUses); n == 0 || s.contentUses[n-1].Line != at.Line || s.contentUses[n-1].File != at.File {
			s.contentUses = append(s.contentUses, at)
		}
	}
	env.Backend, env.Userlist, env.Table = note(&s.backendUses), note(&s.userlistUses), note(&s.tableUses)
	env.Frontend, env.Server = note(&s.frontendUses), note(&s.serverUses)
}

func (s *statement) sendNameHeader() {
	v, ok := s.one("the name of a header")
	if !ok {
		return
	}
	switch strings.ToLower(v) {
	case "content-length", "transfer-encoding", "connection", "host":
		s.errorf(0, "'http-send-name-header' : '%s' says what a request is, and cannot carry a name", v)
		return
	}
	if !isToken(v) {
		s.errorf(0, "'http-send-name-header' expects the name of a header, not '%s'", v)
		return
	}
	s.p.proxy.SendNameHeader = v
}
