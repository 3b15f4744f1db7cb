package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"waggle/pkg/unixaddr"
)

// UnixBind is `unix-bind`: what holds for the unix sockets of all bind lines that do not say it themselves. The zero value
// says nothing.
type UnixBind struct {
	Prefix      string // of their paths
	Mode        uint32
	User, Group string // names or numbers
}

// maxSocketPath is HAProxy's (measured on 2.6): it, and we, need some of the 107 bytes for the name of a socket that is being made.
const maxSocketPath = 97

// unixSocket gives the address of a unix socket as a configuration spells it: unix@path, a path that begins with a slash, or a
// name in the abstract namespace; ok is false where the text is something else. The prefix stands before a path.
func unixSocket(text, prefix string) (addr netip.AddrPort, ok bool, err error) {
	if unixaddr.Abstract(text) {
		_, name, _ := strings.Cut(text, "@")
		return unixAddress(text, name)
	}
	path, found := strings.CutPrefix(text, "unix@")
	if !found {
		path, found = strings.CutPrefix(text, "uxst@")
	}
	if !found && !strings.HasPrefix(text, "/") {
		return addr, false, nil
	}
	if path != "" {
		path = prefix + path
	}
	return unixAddress(path, path)
}

// unixAddress gives the address of a socket; name is what of the text stands in sun_path.
func unixAddress(text, name string) (netip.AddrPort, bool, error) {
	switch {
	case name == "":
		return netip.AddrPort{}, true, fmt.Errorf("the name of the unix socket is missing")
	case len(name) > maxSocketPath:
		return netip.AddrPort{}, true, fmt.Errorf("socket path '%s' too long (max %d)", name, maxSocketPath)
	}
	return unixaddr.Of(text), true, nil
}

func unixBindDirectives() []directive {
	return []directive{{name: "unix-bind", in: inGlobal, args: "[prefix <path>] [mode <octal>] [user <name>] [uid <n>] [group <name>] [gid <n>]",
		doc: "what holds for unix sockets of all bind lines that do not say it themselves", parse: (*statement).unixBind}}
}

func (s *statement) unixBind() {
	u := &s.p.cfg.Global.UnixBind
	for i := 0; i < len(s.args); i += 2 {
		word, value := s.text(i), s.text(i+1)
		if value == "" {
			s.errorf(i, "'unix-bind' : '%s' expects a value", word)
			return
		}
		switch word {
		case "prefix":
			u.Prefix = value
		case "mode":
			u.Mode = s.permissions(i+1, "unix-bind")
		case "user", "uid":
			u.User = value
		case "group", "gid":
			u.Group = value
		default:
			s.errorf(i, "'unix-bind' knows 'prefix', 'mode', 'user', 'uid', 'group' and 'gid', not '%s'", word)
			return
		}
	}
}

// permissions reads argument i as the permission bits of a file.
func (s *statement) permissions(i int, what string) uint32 {
	mode, err := strconv.ParseUint(s.text(i), 8, 12)
	if err != nil {
		s.errorf(i, "'mode' of '%s' expects octal permission bits such as 660, not '%s'", what, s.text(i))
	}
	return uint32(mode)
}

// unixBindParams are the parameters of bind lines that are for unix sockets; on others they do nothing, as in HAProxy.
func unixBindParams() []bindParam {
	number := func(field func(*Bind) *string) func(*statement, int, string, *Bind) {
		return func(s *statement, at int, v string, b *Bind) {
			if _, err := strconv.ParseUint(v, 10, 31); err != nil {
				s.errorf(at, "'bind' : '%s' is not the number of a user or group", v)
			}
			*field(b) = v
		}
	}
	user := func(b *Bind) *string { return &b.User }
	group := func(b *Bind) *string { return &b.Group }
	return []bindParam{
		{name: "mode", args: "<octal>", doc: "permissions of a unix socket", parse: func(s *statement, at int, _ string, b *Bind) { b.Mode = s.permissions(at, "bind") }},
		{name: "user", args: "<name>", doc: "whose a unix socket's file is", parse: func(_ *statement, _ int, v string, b *Bind) { b.User = v }},
		{name: "uid", args: "<n>", doc: "whose a unix socket's file is", parse: number(user)},
		{name: "group", args: "<name>", doc: "which group's a unix socket's file is", parse: func(_ *statement, _ int, v string, b *Bind) { b.Group = v }},
		{name: "gid", args: "<n>", doc: "which group's a unix socket's file is", parse: number(group)},
	}
}

// settleUnix gives the unix sockets of a proxy's bind lines what unix-bind says and they do not.
func (p *parser) settleUnix(s *proxyState) {
	u := p.cfg.Global.UnixBind
	for i := range s.Binds {
		b := &s.Binds[i]
		if !unixaddr.Is(b.Addr.Addr()) {
			continue
		}
		if b.Mode == 0 {
			b.Mode = u.Mode
		}
		if b.User == "" {
			b.User = u.User
		}
		if b.Group == "" {
			b.Group = u.Group
		}
	}
}
