package config

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// bindParam is a parameter of a bind line.
type bindParam struct {
	name   string
	args   string // "" for a word without value
	doc    string
	status Status
	why    string
	parse  func(s *statement, at int, value string, b *Bind)
}

// bindParams are the words that may follow the address of a bind line. They are made once, and nobody changes them.
var bindParams = sync.OnceValue(func() []bindParam {
	params := []bindParam{
		{name: "name", args: "<name>", doc: "the listener's name in statistics", parse: func(_ *statement, _ int, v string, b *Bind) { b.Name = v }},
		{name: "maxconn", args: "<n>", doc: "connections at once on this address", parse: func(s *statement, at int, v string, b *Bind) {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 || n > math.MaxInt32 {
				s.errorf(at, "'bind' : '%s' is not a number of connections", v)
			}
			b.MaxConn = n
		}},
		{name: "v4v6", doc: "an IPv6 address takes IPv4 too", parse: func(_ *statement, _ int, _ string, b *Bind) { b.V4V6 = true }},
		{name: "v6only", doc: "an IPv6 address takes IPv6 only", parse: func(_ *statement, _ int, _ string, b *Bind) { b.V6Only = true }},
		{name: "interface", args: "<name>", doc: "the interface that connections must come in on", parse: func(s *statement, at int, v string, b *Bind) {
			if len(v) > 15 {
				s.errorf(at, "'bind' : interface name '%s' is longer than 15 characters", v)
			}
			b.Interface = v
		}},
		{name: "tcp-ut", args: "<time>", doc: "how long clients may leave data without an acknowledgement", parse: func(s *statement, at int, v string, b *Bind) {
			var err error
			if b.UserTimeout, err = parseTime(v, "tcp-ut", time.Millisecond); err != nil {
				s.errorf(at, "'bind' : %s", err)
			}
		}},
		{name: "accept-proxy", doc: "connections begin with a PROXY header, version 1 or 2", parse: func(_ *statement, _ int, _ string, b *Bind) { b.AcceptProxy = true }},
	}
	add := func(status Status, doc, why, names string) {
		for name := range strings.FieldsSeq(names) {
			name, args, _ := strings.Cut(name, "=")
			if args != "" {
				args = "<" + args + ">"
			}
			params = append(params, bindParam{name: name, args: args, doc: doc, status: status, why: why})
		}
	}
	add(Ignored, "tuning of the socket", "it tunes HAProxy's sockets and threads", "backlog=n defer-accept tfo nice=-1024..1024 shards=shards thread=threads process=threads nbconn=n")
	add(Ignored, "identity in tools", "nothing here uses it", "id=1.. guid-prefix=text label=text")
	add(Unsupported, "PROXY protocol and its relatives", "", "accept-netscaler-cip=magic")
	add(Ignored, "order of cipher suites", "crypto/tls prefers by what is fast on both sides", "prefer-client-ciphers")
	add(Ignored, "names of authorities", "crypto/tls always sends them when it asks for certificates", "no-ca-names")
	add(Ignored, "parameters of old key exchanges", "crypto/tls chooses the curve with the client", "ecdhe=curve")
	add(Unsupported, "TLS", "", `allow-0rtt ca-ignore-err=list ca-sign-file=file ca-sign-pass=text ca-verify-file=file client-sigalgs=list crl-file=file
		crt-ignore-err=list force-sslv3 generate-certificates npn=list sigalgs=list tls-ticket-keys=file`)
	add(Unsupported, "QUIC", "", "quic-cc-algo=name quic-force-retry quic-socket=mode")
	add(Unsupported, "the socket", "", "idle-ping=time mss=bytes namespace=name transparent")
	add(Unsupported, "runtime sockets", "", "expose-fd=what level=level severity-output=format")
	return append(append(params, unixBindParams()...), tlsBindParams()...)
})

// maxAddresses is how many addresses a configuration may listen on: more than the ports of two
// addresses is a mistake, and would exhaust the file descriptors.
const maxAddresses = 2 * maxBindPorts

// maxBindPorts is how many addresses the ranges of one line may make.
const maxBindPorts = 65535

// bind reads `<address>[,<address>…] [parameter…]`.
func (s *statement) bind() {
	s.p.proxy.bindWritten = true
	if s.text(0) == "" {
		s.errorf(-1, "'bind' expects [addr1]:port1[-end1]{,[addr]:port[-end]}... as arguments")
		return
	}
	if !s.expandAddress(0) {
		return
	}
	binds, err := parseBindAddresses(s.text(0), s.p.cfg.Global.UnixBind.Prefix)
	if err != nil {
		s.errorf(0, "'bind' : %s", err)
		return
	}
	if s.p.addresses += len(binds); s.p.addresses > maxAddresses {
		s.errorf(0, "'bind' : more than %d addresses in all", maxAddresses)
		return
	}
	var shared Bind
	s.bindParams(&shared)
	for _, b := range binds {
		addr := b
		b := shared
		b.Pos, b.Addr = s.at(-1), addr
		s.p.proxy.Binds = append(s.p.proxy.Binds, b)
	}
}

func (s *statement) bindParams(b *Bind) {
	params := bindParams()
	for i := 1; i < len(s.args); i++ {
		got := s.args[i].text
		b.Params = append(b.Params, got)
		param := findParam(params, got, func(p bindParam) string { return p.name })
		if param == nil {
			var names []string
			for _, p := range params {
				names = append(names, p.name)
			}
			s.errorf(i, "'bind %s' in section '%s': unknown keyword '%s'%s", s.text(0), s.p.section, got, didYouMean(got, names))
			return
		}
		at, value := i, ""
		if param.args != "" {
			i++
			if value = s.text(i); value == "" {
				s.errorf(at, "'bind' : '%s' expects %s", got, param.args)
				return
			}
			b.Params = append(b.Params, value)
		}
		switch param.status {
		case Unsupported:
			s.unsupported(at, fmt.Sprintf("'%s' on a 'bind' line", got))
			return
		case Ignored:
			if err := checkIgnored(got, strings.Trim(param.args, "<>"), value); err != nil {
				s.errorf(i, "'bind' : %s", err)
				continue
			}
			s.noticef(at, "'%s' on a 'bind' line is ignored: %s", got, param.why)
		default:
			param.parse(s, i, value, b)
		}
	}
}

// findParam finds a row by its name.
func findParam[P any](rows []P, name string, nameOf func(P) string) *P {
	for i := range rows {
		if nameOf(rows[i]) == name {
			return &rows[i]
		}
	}
	return nil
}

// parseBindAddresses reads addresses to listen on; the prefix stands before the paths of unix sockets.
func parseBindAddresses(list, prefix string) ([]netip.AddrPort, error) {
	var all []netip.AddrPort
	for text := range strings.SplitSeq(list, ",") {
		switch addr, ok, err := unixSocket(text, prefix); {
		case err != nil:
			return nil, err
		case ok:
			all = append(all, addr)
			continue
		}
		a, err := parseAddress(text, "tcp@", "tcp4@", "tcp6@")
		if err != nil {
			return nil, err
		}
		ip, ok, err := a.ip()
		if err != nil {
			return nil, err
		}
		if !ok && a.host == localhost {
			ip, ok = loopback(strings.HasSuffix(a.prefix, "6@")), true
		}
		if a.port == "" {
			return nil, fmt.Errorf("missing port specification in '%s'", text)
		}
		if !ok {
			return nil, fmt.Errorf("host name '%s' is valid HAProxy but not supported by waggle here: use an IP address or '*'", a.host)
		}
		low, high, err := a.ports()
		if err != nil {
			return nil, err
		}
		if len(all)+int(high-low)+1 > maxBindPorts {
			return nil, fmt.Errorf("more than %d ports on one line", maxBindPorts)
		}
		for port := int(low); port <= int(high); port++ {
			all = append(all, netip.AddrPortFrom(ip, uint16(port)))
		}
	}
	return all, nil
}
