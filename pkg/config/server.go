package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"waggle/pkg/unixaddr"
)

func serverDirectives() []directive {
	return []directive{
		{name: "server", in: backSide, args: "<name> <address>[:port] [parameters]", doc: "a server", parse: (*statement).server},
		{name: "server-template", in: backSide, args: "<prefix> <n|low-high> <fqdn>[:port] [parameters]", doc: "slots for the addresses of a name", parse: (*statement).serverTemplate},
		{name: "default-server", in: backOrDef, args: "[parameters]", doc: "parameters of the servers that follow", parse: func(s *statement) {
			s.serverParams(0, &s.p.proxy.defaultServer, true)
		}},
	}
}

// maxTemplate is how many slots a server-template may have.
const maxTemplate = 65535

// maxSlots is how many servers and slots a configuration may have.
const maxSlots = 4 * maxTemplate

func (s *statement) server() {
	if len(s.args) < 2 {
		s.errorf(-1, "'server' expects <name> and <addr>[:<port>] as arguments")
		return
	}
	srv := s.newServer()
	if !s.p.proxy.nameServer(s, srv.Name) {
		return
	}
	s.finishServer(srv, 1)
}

func (s *statement) serverTemplate() {
	if len(s.args) < 3 {
		s.errorf(-1, "'server-template' expects <prefix> <nb | range> <addr>[:<port>] as arguments")
		return
	}
	srv := s.newServer()
	low, high, err := parseSlots(s.text(1))
	if err != nil {
		s.errorf(1, "%s", err)
		return
	}
	srv.Low, srv.High = low, high
	for n := low; n <= high; n++ {
		if !s.p.proxy.nameServer(s, srv.slotName(n)) {
			return
		}
	}
	s.finishServer(srv, 2)
}

// slotName is the name of a template's slot.
func (srv *Server) slotName(n int) string { return srv.Name + strconv.Itoa(n) }

// parseSlots reads `n`, which is 1-n, or `low-high`.
func parseSlots(text string) (low, high int, err error) {
	first, last, ranged := strings.Cut(text, "-")
	low = 1
	if ranged {
		low, err = strconv.Atoi(first)
	} else {
		last = first
	}
	high, err2 := strconv.Atoi(last)
	if err != nil || err2 != nil || low < 1 || high < low || high > maxTemplate {
		return 0, 0, fmt.Errorf("wrong number or range of slots '%s': from 1 to %d, as 6 or 1-6", text, maxTemplate)
	}
	return low, high, nil
}

// newServer begins with what default-server lines said.
func (s *statement) newServer() *Server {
	srv := s.p.proxy.defaultServer.clone()
	srv.Pos, srv.Name = s.at(-1), s.text(0)
	s.checkName("server", srv.Name)
	return &srv
}

// nameServer takes a server's name in its backend.
func (p *proxyState) nameServer(s *statement, name string) bool {
	if s.p.slots++; s.p.slots > maxSlots {
		s.errorf(0, "more than %d servers and slots in all", maxSlots)
		return false
	}
	if p.serverAt == nil {
		p.serverAt = make(map[string]Pos)
	}
	if other, taken := p.serverAt[name]; taken {
		s.errorf(0, "server '%s' of %s '%s' has the same name as the one declared at %s", name, p.Kind, p.Name, other)
		return false
	}
	p.serverAt[name] = s.at(0)
	return true
}

// finishServer reads the address at argument i and the parameters behind it.
func (s *statement) finishServer(srv *Server, i int) {
	if !s.expandAddress(i) {
		return
	}
	if err := srv.address(s.text(i)); err != nil {
		s.errorf(i, "'%s %s' : %s", s.name(), srv.Name, err)
		return
	}
	if srv.Template() && unixaddr.Is(srv.Addr.Addr()) {
		s.errorf(i, "server-template '%s' : a unix socket is one server's; write 'server' lines", srv.Name)
		return
	}
	if !s.serverParams(i+1, srv, false) {
		return
	}
	if srv.Check.Enabled && srv.Check.Port == 0 && !srv.Service() && (!srv.HasPort || srv.PortOffset != 0) {
		s.errorf(i, "server '%s' has neither a service port nor a check port to check", srv.Name)
		return
	}
	if srv.Agent.Enabled && srv.Agent.Port == 0 {
		s.errorf(i, "server '%s' does not have agent port: 'agent-check' needs 'agent-port'", srv.Name)
		return
	}
	if srv.Track != "" && srv.Check.Enabled {
		s.errorf(i, "server '%s' : unable to enable checks and tracking at the same time!", srv.Name)
		return
	}
	if srv.Service() && srv.Resolvers == "" {
		s.errorf(i, "server '%s' : service records ('%s') need 'resolvers'", srv.Name, srv.Host)
		return
	}
	if srv.Template() && srv.Resolvers == "" && !srv.Addr.Addr().IsValid() {
		s.warnf(-1, "server-template '%s' has no 'resolvers': its slots keep the addresses of the start", srv.Name)
	}
	s.p.proxy.takeID(s, srv)
	s.p.proxy.Servers = append(s.p.proxy.Servers, *srv)
}

func (p *proxyState) takeID(s *statement, srv *Server) {
	if srv.ID == 0 {
		return
	}
	if p.idAt == nil {
		p.idAt = make(map[int]Pos)
	}
	if other, taken := p.idAt[srv.ID]; taken {
		s.errorf(-1, "server id %d is already taken at %s", srv.ID, other)
	}
	p.idAt[srv.ID] = srv.Pos
}

// address reads <host>[:<port>], where the port may be an offset to the client's, with a sign.
func (srv *Server) address(text string) error {
	switch addr, ok, err := unixSocket(text, ""); {
	case err != nil:
		return err
	case ok:
		srv.Host, srv.Addr, srv.HasPort = text, addr, true
		return nil
	}
	a, err := parseAddress(text, "tcp@", "tcp4@", "tcp6@")
	if err != nil {
		return err
	}
	ip, literal, err := a.ip()
	if err != nil {
		return err
	}
	if literal && ip.IsUnspecified() {
		return fmt.Errorf("address '%s', which means the address that the client connected to, is valid HAProxy but not supported by waggle yet", text)
	}
	if !literal {
		if err := checkHostName(a.host); err != nil {
			return err
		}
	}
	srv.Host = a.host
	port := uint16(0)
	switch {
	case a.port == "" || a.port == "0": // the port that the client connected to
	case a.port[0] == '+' || a.port[0] == '-':
		n, err := strconv.Atoi(a.port)
		if err != nil || n < -65535 || n > 65535 {
			return fmt.Errorf("invalid port offset '%s'", a.port)
		}
		srv.PortOffset = n
	default:
		if port, err = parsePort(a.port); err != nil {
			return err
		}
		srv.HasPort = true
	}
	srv.Addr = netip.AddrPortFrom(ip, port)
	return nil
}

// checkHostName accepts what a DNS name may look like: labels of 1 to 63 characters, 253 in all.
// Underscores are allowed: Docker's names have them.
func checkHostName(host string) error {
	if len(host) > 253 {
		return fmt.Errorf("host name of %d characters, the limit is 253", len(host))
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
		if label == "" || len(label) > 63 {
			return fmt.Errorf("invalid host name '%s'", host)
		}
		for _, c := range []byte(label) {
			letter := c|0x20 >= 'a' && c|0x20 <= 'z'
			if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
				return fmt.Errorf("character '%c' is not permitted in host name '%s'", c, host)
			}
		}
	}
	return nil
}
