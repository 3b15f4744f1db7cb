package config

import (
	"net/netip"
	"strconv"

	"waggle/pkg/sample"
)

// optionDirectives are the `option` lines.
func optionDirectives() []directive {
	flag := func(name string, in sections, doc string, field func(*Options) *bool) directive {
		return directive{name: "option " + name, in: in, doc: doc, switchable: true, parse: func(s *statement) {
			if s.atMost(0) {
				*field(&s.p.proxy.Options) = !s.off && !s.reset
			}
		}}
	}
	connection := func(name, doc string, mode ConnectionMode) directive {
		return directive{name: "option " + name, in: anyProxy, doc: doc, switchable: true, parse: func(s *statement) {
			if o := &s.p.proxy.Options; s.atMost(0) {
				switch {
				case !s.off && !s.reset:
					o.ConnectionMode = mode
				case o.ConnectionMode == mode:
					o.ConnectionMode = KeepAlive
				}
			}
		}}
	}
	rows := []directive{
		flag("disable-h2-upgrade", frontOrDef, "takes no client for one of HTTP/2 who begins with it in place of HTTP/1", func(o *Options) *bool { return &o.DisableH2Upgrade }),
		flag("abortonclose", backOrDef, "gives up a queued request whose client has gone", func(o *Options) *bool { return &o.Abortonclose }),
		flag("allbackups", backOrDef, "uses all backup servers instead of the first", func(o *Options) *bool { return &o.AllBackups }),
		flag("persist", backOrDef, "follows cookies also to a server that is down", func(o *Options) *bool { return &o.Persist }),
		flag("clitcpka", frontOrDef, "TCP keep-alive on client connections", func(o *Options) *bool { return &o.TCPKAClient }),
		flag("srvtcpka", backOrDef, "TCP keep-alive on server connections", func(o *Options) *bool { return &o.TCPKAServer }),
		flag("dontlognull", frontOrDef, "does not log connections without data", func(o *Options) *bool { return &o.DontLogNull }),
		flag("dontlog-normal", frontOrDef, "logs only what went wrong", func(o *Options) *bool { return &o.DontLogNormal }),
		flag("socket-stats", frontOrDef, "counts each address of a frontend by itself", func(o *Options) *bool { return &o.SocketStats }),
		flag("logasap", frontOrDef, "logs before the end of a transfer", func(o *Options) *bool { return &o.LogASAP }),
		flag("log-separate-errors", frontOrDef, "raises the level of errors", func(o *Options) *bool { return &o.LogSeparateErrors }),
		flag("http-buffer-request", anyProxy, "does nothing with a request before its body has come, or as much of it as tune.bufsize has room for; 'timeout http-request' bounds that", func(o *Options) *bool { return &o.BufferRequest }),
		flag("nolinger", anyProxy, "ends connections with a reset, so that the system keeps nothing of them: in a frontend those of clients, in a backend those to servers", func(o *Options) *bool { return &o.NoLinger }),
		flag("http-pretend-keepalive", backOrDef, "tells servers that their connection is kept although it is closed after the response", func(o *Options) *bool { return &o.PretendKeepAlive }),
		flag("log-health-checks", backOrDef, "logs every change of a check's result", func(o *Options) *bool { return &o.LogHealthChecks }),
		connection("http-keep-alive", "keeps connections open after a response (the default)", KeepAlive),
		connection("http-server-close", "closes the server's connection after a response", ServerClose),
		connection("httpclose", "closes the connection after a response: the client's if a frontend says so, the server's if either side does", Close),
		{name: "option tcpka", in: anyProxy, doc: "TCP keep-alive on both sides", switchable: true, parse: func(s *statement) {
			if o := &s.p.proxy.Options; s.atMost(0) {
				o.TCPKAClient, o.TCPKAServer = !s.off && !s.reset, !s.off && !s.reset
			}
		}},
		{name: "option httplog", in: frontOrDef, args: "[clf]", doc: "HTTP log lines; clf: in the form of web servers", switchable: true, parse: (*statement).httpLog},
		{name: "option httpslog", in: frontOrDef, doc: "HTTP log lines with what is known of TLS", switchable: true, parse: func(s *statement) {
			if s.atMost(0) {
				s.httpLines(httpsFormat)
			}
		}},
		{name: "option tcplog", in: frontOrDef, doc: "TCP log lines", switchable: true, parse: (*statement).tcpLog},
		{name: "option redispatch", in: backOrDef, args: "[<interval>]", doc: "retries on another server", switchable: true, parse: (*statement).redispatch},
		{name: "option forwardfor", in: anyProxy, args: "[except <network>] [header <name>] [if-none]", doc: "adds the client's address to requests", switchable: true, parse: func(s *statement) {
			s.addressHeader(&s.p.proxy.Options.ForwardFor, "X-Forwarded-For")
		}},
		{name: "option originalto", in: anyProxy, args: "[except <network>] [header <name>]", doc: "adds the address that the client connected to", switchable: true, parse: func(s *statement) {
			s.addressHeader(&s.p.proxy.Options.OriginalTo, "X-Original-To")
		}},
	}
	return append(rows, foreignOptions()...)
}

func foreignOptions() []directive {
	const own = "the engine decides by itself"
	rows := [][]directive{
		group(anyProxy, Ignored, "splicing in the kernel", own, "option+splice-auto option+splice-request option+splice-response"),
		group(frontOrDef, Ignored, "tuning of accepted connections", own, "option+tcp-smart-accept option+contstats"),
		group(backOrDef, Ignored, "tuning of server connections", own, "option+tcp-smart-connect"),
		group(anyProxy, Ignored, "immediate forwarding of small pieces", "data is never held back", "option+http-no-delay option+http-use-htx"),
		group(frontOrDef, Ignored, "another name of the Connection header", "what proxies of the last century wanted: 'Connection' decides, as in HTTP/1.1", "option+http-use-proxy-header"),
		group(backOrDef, Unsupported, "health checks of SPOE agents", "", "option+spop-check"),
		group(backOrDef, Unsupported, "treatment of requests and servers", "", "option+checkcache option+forwarded option+prefer-last-server option+transparent option+h1-case-adjust-bogus-server option+accept-unsafe-violations-in-http-response option+accept-invalid-http-response"),
		group(anyProxy, Unsupported, "treatment of messages", "", `option+http-restrict-req-hdr-names option+independent-streams
			option+http-drop-request-trailers option+http-drop-response-trailers`),
		group(frontOrDef, Unsupported, "treatment of client connections", "", `option+http-ignore-probes option+idle-close-on-response
			option+h1-case-adjust-bogus-client option+accept-unsafe-violations-in-http-request option+accept-invalid-http-request`),
	}
	var all []directive
	for _, r := range rows {
		all = append(all, r...)
	}
	return all
}

func (s *statement) httpLog() {
	switch {
	case s.text(0) == "clf" && len(s.args) == 1:
		s.httpLines(commonFormat)
	case s.text(0) == "clf":
		s.atMost(1)
	case s.atMost(0):
		s.httpLines("")
	}
}

// Formats of log lines that have a name, as lines of HAProxy 2.6 show them.
const (
	commonFormat = `%{+Q}o %{-Q}ci - - [%T] %r %ST %B "" "" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl`
	httpsFormat  = `%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r ` +
		`%[fc_err]/%[ssl_fc_err,hex]/%[ssl_c_err]/%[ssl_c_ca_err]/%[ssl_fc_is_resumed] %[ssl_fc_sni]/%sslv/%sslc`
)

// httpLines has HTTP requests logged by a format; "" is that of httplog, which is built in.
func (s *statement) httpLines(format string) {
	o := &s.p.proxy.Options
	o.HTTPLog = !s.off && !s.reset
	if !o.HTTPLog {
		return
	}
	o.TCPLog = false
	s.overrides(&s.p.proxy.formatBy)
	s.p.proxy.logFormat = nil
	if format != "" {
		env := s.exprEnv(-1)
		env.Where, env.Warn = sample.AtLog, nil
		s.p.proxy.logFormat = &pendingFormat{source: format, at: s.at(-1), env: env, option: true}
	}
}

func (s *statement) tcpLog() {
	if s.text(0) == "clf" {
		s.unsupported(0, "'clf' of 'option tcplog'")
		return
	}
	if s.atMost(0) {
		o := &s.p.proxy.Options
		o.TCPLog = !s.off && !s.reset
		if o.TCPLog {
			o.HTTPLog = false
			s.overrides(&s.p.proxy.formatBy)
			s.p.proxy.logFormat = nil
		}
	}
}

func (s *statement) redispatch() {
	o := &s.p.proxy.Options
	o.Redispatch, o.RedispatchInterval = !s.off && !s.reset, -1
	if len(s.args) > 0 && s.atMost(1) {
		n, err := strconv.Atoi(s.text(0))
		if err != nil || n < -1000 || n > 1000 {
			s.errorf(0, "'option redispatch' expects an integer interval, not '%s'", s.text(0))
			return
		}
		o.RedispatchInterval = n
		o.Redispatch = o.Redispatch && n != 0
	}
}

// addressHeader reads an option that tells servers an address in a header.
func (s *statement) addressHeader(field **ForwardFor, header string) {
	*field = nil
	if s.off || s.reset {
		return
	}
	f := &ForwardFor{Header: header}
	for i := 0; i < len(s.args); i++ {
		word, value := s.args[i].text, s.text(i+1)
		switch word {
		case "except":
			prefix, err := parseNetwork(value)
			if err != nil {
				s.errorf(i, "'except' of '%s' expects a network such as 10.0.0.0/8, not '%s'", s.name(), value)
				return
			}
			f.Except = append(f.Except, prefix)
			i++
		case "header":
			if value == "" {
				s.errorf(i, "'header' of '%s' expects a name", s.name())
				return
			}
			f.Header = value
			i++
		case "if-none":
			if s.name() != "option forwardfor" {
				s.errorf(i, "'%s' only supports 'except' and 'header', not '%s'", s.name(), word)
				return
			}
			f.IfNone = true
		default:
			s.errorf(i, "'%s' only supports 'except', 'header' and 'if-none', not '%s'", s.name(), word)
			return
		}
	}
	*field = f
}

// parseNetwork reads an address or a prefix.
func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	return p.Masked(), err
}
