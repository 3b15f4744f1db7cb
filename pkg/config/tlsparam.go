package config

import (
	"fmt"
	"slices"

	"waggle/pkg/sample"
)

// tlsBindParams are the words about TLS and HTTP/2 that may follow the address of a bind line.
func tlsBindParams() []bindParam {
	flag := func(f func(b *Bind)) func(*statement, int, string, *Bind) {
		return func(_ *statement, _ int, _ string, b *Bind) { f(b) }
	}
	cert := func(c Certificate) func(*statement, int, string, *Bind) {
		return func(s *statement, _ int, v string, b *Bind) {
			c := c
			c.Base = s.p.base(s.p.cfg.Global.TLS.CrtBase)
			c.Path = under(c.Base, v)
			b.TLS.Certs = append(b.TLS.Certs, c)
		}
	}
	rows := []bindParam{
		{name: "ssl", doc: "speaks TLS", parse: flag(func(b *Bind) { b.TLS.Enabled = true })},
		{name: "crt", args: "<file|directory>", doc: "certificates with their keys; the first is for clients whose name no certificate has", parse: cert(Certificate{})},
		{name: "crt-list", args: "<file>", doc: "the same from a list with names and options", parse: cert(Certificate{List: true})},
		{name: "default-crt", args: "<file>", doc: "for clients whose name no certificate has", parse: cert(Certificate{Default: true})},
		{name: "strict-sni", doc: "refuses clients whose name no certificate has", parse: flag(func(b *Bind) { b.TLS.StrictSNI = true })},
		{name: "no-strict-sni", doc: "cancels strict-sni", parse: flag(func(b *Bind) { b.TLS.StrictSNI = false })},
		{name: "no-alpn", doc: "offers no protocol", parse: flag(func(b *Bind) { b.TLS.noALPN = true })},
		{name: "alpn", args: "<protocol>[,…]", doc: "protocols that are offered; by default h2,http/1.1 in mode http", parse: func(s *statement, at int, v string, b *Bind) {
			var err error
			if b.TLS.ALPN, err = parseALPN(v); err != nil {
				s.errorf(at, "'bind' : 'alpn' %s", err)
			}
		}},
		{name: "proto", args: "h1|h2", doc: "the only protocol that is spoken", parse: func(s *statement, at int, v string, b *Bind) {
			if v != "h1" && v != "h2" {
				s.errorf(at, "'bind' : 'proto' knows 'h1' and 'h2', not '%s'", v)
			}
			b.Proto = v
		}},
		{name: "ca-file", args: "<file>|@system-ca", doc: "who may sign certificates of clients", parse: func(s *statement, _ int, v string, b *Bind) {
			b.TLS.CAFile = s.p.under(s.p.cfg.Global.TLS.CABase, v)
		}},
		{name: "verify", args: "none|optional|required", doc: "whether clients must show a certificate", parse: func(s *statement, at int, v string, b *Bind) {
			if valid := []string{"none", "optional", "required"}; !slices.Contains(valid, v) {
				s.errorf(at, "'bind' : 'verify' knows %s, not '%s'%s", quoteList(valid), v, didYouMean(v, valid))
				return
			}
			b.TLS.Verify = v
		}},
	}
	for _, p := range tlsParams() {
		rows = append(rows, bindParam{name: p.name, args: p.args, doc: p.doc, parse: func(s *statement, at int, v string, b *Bind) {
			if err := p.parse(&b.TLS.TLSOptions, v); err != nil {
				s.errorf(at, "'bind' : '%s' %s", p.name, err)
			}
		}})
	}
	for name, what := range tlsLists {
		rows = append(rows, bindParam{name: name, args: "<list>", doc: what, parse: func(s *statement, at int, v string, b *Bind) {
			s.tlsList(at, name, v, &b.TLS.TLSOptions)
		}})
	}
	return rows
}

// tlsLists are the parameters that list what may be negotiated.
var tlsLists = map[string]string{
	"ciphers": "cipher suites of TLS 1.2 and below, by OpenSSL's names", "ciphersuites": "those of TLS 1.3, of which crypto/tls always has all three",
	"curves": "curves for the exchange of keys",
}

// tlsList reads one of tlsLists, and says where crypto/tls cannot do what it wants.
func (s *statement) tlsList(at int, name, list string, o *TLSOptions) {
	var warning string
	var err error
	switch name {
	case "ciphers":
		o.Ciphers, warning, err = parseCiphers(list)
	case "ciphersuites":
		warning, err = checkSuites(list)
	case "curves":
		o.Curves, err = parseCurves(list)
	}
	switch {
	case err != nil:
		s.errorf(at, "'%s' %s", name, err)
	case warning != "":
		s.warnf(at, "'%s' : %s", name, warning)
	}
}

// tlsServerParams are the words about TLS that may follow the address of a server line.
func tlsServerParams() []serverParam {
	rows := []serverParam{
		{name: "ssl", doc: "speaks TLS to the server", parse: set(func(s *Server) { s.TLS.Enabled = true })},
		{name: "no-ssl", doc: "cancels an inherited ssl", parse: set(func(s *Server) { s.TLS.Enabled = false })},
		{name: "check-ssl", doc: "health checks over TLS, also at another address or port", parse: set(func(s *Server) { s.TLS.Check = true })},
		{name: "no-check-ssl", doc: "cancels an inherited check-ssl", parse: set(func(s *Server) { s.TLS.Check = false })},
		{name: "check-sni", args: "<name>", doc: "the name that health checks ask for", parse: func(s *Server, v string) error { s.TLS.CheckSNI = v; return nil }},
		{name: "no-verifyhost", doc: "cancels an inherited verifyhost", parse: set(func(s *Server) { s.TLS.VerifyHost = "" })},
		{name: "verifyhost", args: "<name>", doc: "the name that the server's certificate must have; by default that of sni", parse: func(s *Server, v string) error {
			s.TLS.VerifyHost = v
			return nil
		}},
		{name: "verify", args: "none|required", doc: "whether the server's certificate is verified; by default it is", parse: func(s *Server, v string) error {
			if v != "none" && v != "required" {
				return fmt.Errorf("knows 'none' and 'required', not '%s'", v)
			}
			s.TLS.Verify = v
			return nil
		}},
		{name: "alpn", args: "http/1.1", doc: "the protocol that is offered; HTTP/2 to servers is not spoken", parse: func(s *Server, v string) (err error) {
			if s.TLS.ALPN, err = parseALPN(v); err == nil && slices.Contains(s.TLS.ALPN, "h2") {
				err = fmt.Errorf("with 'h2' is valid HAProxy but not supported by waggle yet: servers are spoken to in HTTP/1.1")
			}
			return err
		}},
		{name: "ca-file", args: "<file>|@system-ca", doc: "who may sign the server's certificate", inStatement: func(st *statement, _ int, v string, s *Server) {
			s.TLS.CAFile = st.p.under(st.p.cfg.Global.TLS.CABase, v)
		}},
		{name: "crt", args: "<file>", doc: "our certificate, for servers that ask for one", inStatement: func(st *statement, _ int, v string, s *Server) {
			s.TLS.Cert = st.p.under(st.p.cfg.Global.TLS.CrtBase, v)
		}},
		{name: "sni", args: "<expression>", doc: "the name that the server is asked for", inStatement: (*statement).serverSNI},
	}
	for _, p := range tlsParams() {
		rows = append(rows, serverParam{name: p.name, args: p.args, doc: p.doc, parse: func(s *Server, v string) error { return p.parse(&s.TLS.TLSOptions, v) }})
	}
	for name, what := range tlsLists {
		rows = append(rows, serverParam{name: name, args: "<list>", doc: what, inStatement: func(st *statement, at int, v string, s *Server) {
			st.tlsList(at, name, v, &s.TLS.TLSOptions)
		}})
	}
	return rows
}

func (s *statement) serverSNI(at int, value string, srv *Server) {
	env := s.exprEnv(at)
	env.Where = sample.AtRequest
	x, err := sample.ParseExpr(value, env)
	if err != nil {
		s.errorf(at, "'%s' : 'sni' : %s", s.serverName(srv), err)
		return
	}
	srv.TLS.SNI = x
}

// tlsGlobals are the directives of the global section about TLS and HTTP/2.
func tlsGlobals() []directive {
	path := func(name, doc string, field func(*GlobalTLS) *string) directive {
		return directive{name: name, in: inGlobal, args: "<directory>", doc: doc, parse: func(s *statement) {
			if v, ok := s.one("a directory"); ok {
				*field(&s.p.cfg.Global.TLS) = v
			}
		}}
	}
	streams := func(name string) directive {
		return directive{name: name, in: inGlobal, args: "<n>", doc: "streams of an HTTP/2 connection at once; by default 100", parse: func(s *statement) {
			s.number(0, 10000, &s.p.cfg.Global.TLS.MaxStreams)
		}}
	}
	rows := []directive{
		path("crt-base", "where relative names of certificates begin", func(g *GlobalTLS) *string { return &g.CrtBase }),
		path("ca-base", "where relative names of ca-file begin", func(g *GlobalTLS) *string { return &g.CABase }),
		streams("tune.h2.max-concurrent-streams"), streams("tune.h2.fe.max-concurrent-streams"),
		{name: "ssl-server-verify", in: inGlobal, args: "none|required", doc: "whether servers' certificates are verified where their lines say nothing", parse: func(s *statement) {
			if s.oneOf(0, "mode", "none", "required") && s.atMost(1) {
				s.p.cfg.Global.TLS.NoServerVerify = s.text(0) == "none"
			}
		}},
	}
	for side, field := range map[string]func(*GlobalTLS) *TLSOptions{
		"bind": func(g *GlobalTLS) *TLSOptions { return &g.Bind }, "server": func(g *GlobalTLS) *TLSOptions { return &g.Server },
	} {
		rows = append(rows, directive{name: "ssl-default-" + side + "-options", in: inGlobal, args: "<option>…", doc: "TLS options of " + side + " lines that say nothing", parse: func(s *statement) {
			s.tlsDefaultOptions(field(&s.p.cfg.Global.TLS))
		}})
		for name, what := range tlsLists {
			rows = append(rows, directive{name: "ssl-default-" + side + "-" + name, in: inGlobal, args: "<list>", doc: what + ", where " + side + " lines say nothing", parse: func(s *statement) {
				if v, ok := s.one("a list"); ok {
					s.tlsList(0, name, v, field(&s.p.cfg.Global.TLS))
				}
			}})
		}
	}
	return rows
}

// tlsDefaultOptions reads the words of ssl-default-bind-options and ssl-default-server-options.
func (s *statement) tlsDefaultOptions(o *TLSOptions) {
	params := tlsParams()
	for i := 0; i < len(s.args); i++ {
		got, at := s.text(i), i
		param := findParam(params, got, func(p tlsParam) string { return p.name })
		if param == nil {
			s.otherTLSOption(i, params)
			continue
		}
		value := ""
		if param.args != "" {
			i++
			if value = s.text(i); value == "" {
				s.errorf(at, "'%s' : '%s' expects %s", s.name(), got, param.args)
				return
			}
		}
		if err := param.parse(o, value); err != nil {
			s.errorf(i, "'%s' : '%s' %s", s.name(), got, err)
		}
	}
}

func (s *statement) otherTLSOption(i int, params []tlsParam) {
	switch got := s.text(i); got {
	case "prefer-client-ciphers":
		s.noticef(i, "'%s' is ignored: crypto/tls prefers by what is fast on both sides", got)
	case "strict-sni", "no-ca-names", "no-alpn", "force-sslv3":
		s.unsupported(i, fmt.Sprintf("'%s' in '%s'", got, s.name()))
	default:
		var names []string
		for _, p := range params {
			names = append(names, p.name)
		}
		s.errorf(i, "unknown option '%s' in '%s'%s", got, s.name(), didYouMean(got, names))
	}
}
