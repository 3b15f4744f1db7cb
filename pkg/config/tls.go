package config

import (
	"crypto/tls"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"waggle/pkg/sample"
)

// TLSOptions are the parameters of TLS that both sides have. Versions are those of crypto/tls, e.g.
// tls.VersionTLS12.
type TLSOptions struct {
	MinVersion, MaxVersion uint16   // 0 = TLS 1.2, and no limit
	Ciphers                []uint16 // of TLS 1.2 and below; nil = Go's own choice
	Curves                 []tls.CurveID
	NoTickets              bool
	off                    uint8 // versions that `no-tlsv1x` turned off, bit 0 for TLS 1.0
}

// BindTLS is `ssl` on a bind line with what belongs to it.
type BindTLS struct {
	TLSOptions
	Enabled   bool
	Certs     []Certificate
	ALPN      []string // as offered; nil = none
	StrictSNI bool
	CAFile    string // of client certificates
	Verify    string // none, optional, required; "" = none
	noALPN    bool
}

// Certificate is where one or more certificates come from.
type Certificate struct {
	Path    string // a file or, unless List, a directory
	List    bool   // crt-list: a file of files
	Default bool   // default-crt: for clients whose name no certificate has
	Base    string // crt-base, for the names in a list
}

// Under gives a name in a list as it is found from the working directory.
func (c Certificate) Under(name string) string { return under(c.Base, name) }

// ServerTLS is `ssl` on a server line with what belongs to it.
type ServerTLS struct {
	TLSOptions
	Enabled    bool
	Verify     string // none, required; "" = what global says, by default required
	CAFile     string // @system-ca: the system's
	Cert       string // shown to servers that ask for one
	SNI        *sample.Expr
	VerifyHost string // "" = the SNI, if there is one
	ALPN       []string
	CheckSNI   string // of health checks
	Check      bool   // check-ssl: also where the check goes to another address or port
}

// GlobalTLS is what the global section says about TLS and HTTP/2.
type GlobalTLS struct {
	CrtBase, CABase string // where relative names begin
	Bind, Server    TLSOptions
	NoServerVerify  bool // ssl-server-verify none
	MaxStreams      int  // of an HTTP/2 connection at once; 0 = 100
}

var tlsVersions = []struct {
	name string
	v    uint16
}{
	{"SSLv3", tls.VersionTLS10}, // gone from crypto/tls: the lowest that there is
	{"TLSv1.0", tls.VersionTLS10}, {"TLSv1.1", tls.VersionTLS11}, {"TLSv1.2", tls.VersionTLS12}, {"TLSv1.3", tls.VersionTLS13},
}

func parseTLSVersion(name string) (uint16, error) {
	var names []string
	for _, v := range tlsVersions {
		if v.name == name {
			return v.v, nil
		}
		names = append(names, v.name)
	}
	return 0, fmt.Errorf("knows %s, not '%s'%s", quoteList(names), name, didYouMean(name, names))
}

// tlsParam is a parameter of TLS that bind and server lines, and the default options of global, share.
type tlsParam struct {
	name, args, doc string
	parse           func(o *TLSOptions, value string) error
}

// tlsParams are all of them. `no-` and `force-` words come with HAProxy's old way to say which versions are allowed.
func tlsParams() []tlsParam {
	rows := []tlsParam{
		{"ssl-min-ver", "<version>", "lowest version of TLS; by default TLSv1.2", func(o *TLSOptions, v string) (err error) {
			o.MinVersion, err = parseTLSVersion(v)
			return err
		}},
		{"ssl-max-ver", "<version>", "highest version of TLS", func(o *TLSOptions, v string) (err error) {
			o.MaxVersion, err = parseTLSVersion(v)
			return err
		}},
		{"no-sslv3", "", "accepted: there is no SSLv3", func(*TLSOptions, string) error { return nil }},
		{"no-tls-tickets", "", "no resumption by session tickets", func(o *TLSOptions, _ string) error { o.NoTickets = true; return nil }},
		{"tls-tickets", "", "cancels no-tls-tickets", func(o *TLSOptions, _ string) error { o.NoTickets = false; return nil }},
	}
	for i, digit := range []string{"0", "1", "2", "3"} {
		version := uint16(tls.VersionTLS10 + i)
		rows = append(rows,
			tlsParam{"no-tlsv1" + digit, "", "no TLS 1." + digit, func(o *TLSOptions, _ string) error { o.off |= 1 << i; return nil }},
			tlsParam{"force-tlsv1" + digit, "", "TLS 1." + digit + " only", func(o *TLSOptions, _ string) error {
				o.MinVersion, o.MaxVersion = version, version
				return nil
			}})
	}
	return rows
}

// inherit takes from the defaults of the global section what the line does not say.
func (o *TLSOptions) inherit(from TLSOptions) {
	if o.MinVersion == 0 {
		o.MinVersion = from.MinVersion
	}
	if o.MaxVersion == 0 {
		o.MaxVersion = from.MaxVersion
	}
	if o.Ciphers == nil {
		o.Ciphers = from.Ciphers
	}
	if o.Curves == nil {
		o.Curves = from.Curves
	}
	o.NoTickets = o.NoTickets || from.NoTickets
	o.off |= from.off
}

// settle makes one range of all that was said about versions; an error if nothing, or no single range, is left.
func (o *TLSOptions) settle() error {
	low, high := o.MinVersion, o.MaxVersion
	if high == 0 {
		high = tls.VersionTLS13
	}
	if low == 0 {
		low = min(tls.VersionTLS12, high)
	}
	on := func(v uint16) bool { return o.off&(1<<(v-tls.VersionTLS10)) == 0 }
	for low <= high && !on(low) {
		low++
	}
	for high >= low && !on(high) {
		high--
	}
	if low > high {
		return fmt.Errorf("no version of TLS is left: at least %s is asked for, and at most %s", versionName(low), versionName(high))
	}
	for v := low; v <= high; v++ {
		if !on(v) {
			return fmt.Errorf("%s is turned off between versions that are not: crypto/tls knows a range only", versionName(v))
		}
	}
	o.MinVersion, o.MaxVersion, o.off = low, high, 0
	return nil
}

func versionName(v uint16) string {
	for _, known := range tlsVersions[1:] {
		if known.v == v {
			return known.name
		}
	}
	return "none"
}

// under gives a file's name as it is found from the working directory.
func under(base, name string) string {
	if base == "" || strings.HasPrefix(name, "@") || filepath.IsAbs(name) {
		return name
	}
	return base + "/" + name
}

// parseALPN reads a list of protocols in the order of preference.
func parseALPN(list string) ([]string, error) {
	names := strings.Split(list, ",")
	for _, n := range names {
		if n == "" || len(n) > 255 {
			return nil, fmt.Errorf("expects protocols of 1 to 255 characters between commas, not '%s'", list)
		}
	}
	return names, nil
}

// finishBind settles the TLS side of a proxy's bind lines.
func (p *parser) finishBinds(s *proxyState) {
	if !s.Kind.HasFrontend() {
		return
	}
	for i := range s.Binds {
		b := &s.Binds[i]
		if b.Proto == "h2" && !s.HTTP {
			p.alert(b.Pos, "%s '%s' : 'proto h2' on a 'bind' line needs 'mode http'", s.Kind, s.Name)
		}
		t := &b.TLS
		if !t.Enabled {
			if len(t.Certs) > 0 {
				p.warn(b.Pos, "%s '%s' : bind '%s' has certificates and no 'ssl': it speaks clear text", s.Kind, s.Name, b.Addr)
			}
			continue
		}
		if len(t.Certs) == 0 {
			p.alert(b.Pos, "%s '%s' : no SSL certificate specified for bind '%s' (use 'crt')", s.Kind, s.Name, b.Addr)
		}
		t.inherit(p.cfg.Global.TLS.Bind)
		if err := t.settle(); err != nil {
			p.alert(b.Pos, "%s '%s' : bind '%s' : %s", s.Kind, s.Name, b.Addr, err)
		}
		if t.CAFile == "" && t.Verify != "" && t.Verify != "none" {
			p.alert(b.Pos, "%s '%s' : bind '%s' : 'verify %s' needs 'ca-file'", s.Kind, s.Name, b.Addr, t.Verify)
		}
		p.settleALPN(s, b)
	}
}

// settleALPN: an HTTP frontend offers HTTP/2 and HTTP/1.1 unless told otherwise (HAProxy since 2.8).
func (p *parser) settleALPN(s *proxyState, b *Bind) {
	t := &b.TLS
	switch {
	case b.Proto == "h2":
		t.ALPN = []string{"h2"}
	case b.Proto == "h1":
		t.ALPN = []string{"http/1.1"}
	case t.noALPN:
		t.ALPN = nil
	case t.ALPN == nil && s.HTTP:
		t.ALPN = []string{"h2", "http/1.1"}
	}
	if !s.HTTP {
		return
	}
	for _, proto := range t.ALPN {
		if !slices.Contains([]string{"h2", "http/1.1", "http/1.0"}, proto) {
			p.alert(b.Pos, "%s '%s' : bind '%s' : 'alpn' offers '%s', which is not spoken here: 'h2', 'http/1.1' and 'http/1.0' are", s.Kind, s.Name, b.Addr, proto)
		}
	}
}

// finishServerTLS settles the TLS side of a proxy's servers.
func (p *parser) finishServerTLS(s *proxyState) {
	if !s.Kind.HasBackend() {
		return
	}
	for i := range s.Servers {
		srv := &s.Servers[i]
		if err := p.cfg.Global.TLS.settleServer(&srv.TLS); err != nil {
			p.alert(srv.Pos, "%s '%s', server '%s' : %s", s.Kind, s.Name, srv.Name, err)
		}
	}
}

// settleServer fills in what global says, and refuses what cannot be meant.
func (g *GlobalTLS) settleServer(t *ServerTLS) error {
	if !t.Enabled && !t.Check {
		return nil
	}
	t.inherit(g.Server)
	if err := t.settle(); err != nil {
		return err
	}
	if t.Verify == "" {
		t.Verify = "required"
		if g.NoServerVerify {
			t.Verify = "none"
		}
		if t.CAFile == "" && t.Verify == "required" {
			return fmt.Errorf("its certificate is to be verified, which is the default, and no 'ca-file' says by what: name one ('ca-file @system-ca' is the system's), or write 'verify none' if the network can be trusted")
		}
	}
	if t.CAFile == "" && t.Verify == "required" {
		return fmt.Errorf("'verify required' needs 'ca-file'")
	}
	return nil
}

// ParseListOptions reads the options between brackets on a line of a crt-list, which change those of the bind line.
func ParseListOptions(bind BindTLS, words []string) (BindTLS, error) {
	p := newParser(LoadOptions{})
	p.proxy = newProxyState()
	s := &statement{p: p, keyword: []word{{text: "crt-list"}}, args: []word{{text: "options"}}}
	for _, w := range words {
		s.args = append(s.args, word{text: w})
	}
	b := Bind{TLS: bind}
	b.TLS.MinVersion, b.TLS.MaxVersion = 0, 0 // to be told from what is said here
	s.bindParams(&b)
	if b.TLS.noALPN {
		b.TLS.ALPN = nil
	}
	b.TLS.inherit(bind.TLSOptions)
	err := b.TLS.settle()
	if len(p.errors) > 0 {
		err = fmt.Errorf("%s", p.errors[0].Text)
	}
	return b.TLS, err
}
