package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// rawAddress is an address as a configuration spells it: [prefix@]host[:port[-port]], the port
// perhaps with a sign (configuration manual, "Address formats").
type rawAddress struct {
	text   string
	prefix string // with its @
	host   string // without brackets
	port   string // "" if none is written
	has    bool   // a colon introduced the port
}

// otherFamilies are valid prefixes that no setting supports yet.
var otherFamilies = []string{
	"unix@", "uxst@", "uxdg@", "abns@", "abnsz@", "fd@", "sockpair@", "rhttp@", "rev@", "mptcp@", "mptcp4@", "mptcp6@",
	"udp@", "udp4@", "udp6@", "tcp@", "tcp4@", "tcp6@", "quic4@", "quic6@", "stream+ipv4@", "dgram+ipv4@", "stream@", "dgram@",
}

// parseAddress splits an address. `ipv4@` and `ipv6@` are always understood, and the prefixes given.
func parseAddress(text string, prefixes ...string) (rawAddress, error) {
	a := rawAddress{text: text}
	rest := text
	if i := strings.IndexByte(text, '@'); i >= 0 {
		a.prefix, rest = text[:i+1], text[i+1:]
		ok := a.prefix == "ipv4@" || a.prefix == "ipv6@"
		for _, p := range prefixes {
			ok = ok || p == a.prefix
		}
		if !ok {
			for _, p := range otherFamilies {
				if p == a.prefix {
					return a, fmt.Errorf("address family '%s' is valid HAProxy but not supported by waggle here yet", p)
				}
			}
			return a, fmt.Errorf("unknown address family '%s' in '%s'", a.prefix, text)
		}
	} else if strings.HasPrefix(text, "/") {
		return a, fmt.Errorf("unix socket '%s' is valid HAProxy but not supported by waggle here yet", text)
	}
	a.host = rest
	if strings.HasPrefix(rest, "[") {
		end := strings.IndexByte(rest, ']')
		if end < 0 {
			return a, fmt.Errorf("missing closing ']' in address '%s'", text)
		}
		a.host = rest[1:end]
		rest = rest[end+1:]
		if rest != "" && rest[0] != ':' {
			return a, fmt.Errorf("unexpected '%s' behind ']' in address '%s'", rest, text)
		}
		a.has = rest != ""
		a.port = strings.TrimPrefix(rest, ":")
		return a, nil
	}
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		a.host, a.port, a.has = rest[:i], rest[i+1:], true
	}
	return a, nil
}

// ip gives the host as an address; ok is false if it is a name. `*` and an empty host are every
// IPv4 address, or every IPv6 address behind ipv6@.
func (a rawAddress) ip() (addr netip.Addr, ok bool, err error) {
	v6 := strings.HasSuffix(a.prefix, "6@")
	v4 := strings.HasSuffix(a.prefix, "4@")
	if a.host == "" || a.host == "*" {
		if v6 {
			return netip.IPv6Unspecified(), true, nil
		}
		return netip.IPv4Unspecified(), true, nil
	}
	addr, e := netip.ParseAddr(a.host)
	if e != nil || addr.Zone() != "" {
		if strings.Contains(a.host, ":") || looksNumeric(a.host) {
			return addr, false, fmt.Errorf("invalid address '%s' in '%s'", a.host, a.text)
		}
		return netip.Addr{}, false, nil
	}
	if v4 && !addr.Is4() || v6 && addr.Is4() {
		return addr, false, fmt.Errorf("address '%s' is not of the family '%s'", a.host, a.prefix)
	}
	return addr, true, nil
}

// localhost is the one name that needs no look-up (RFC 6761, section 6.3).
const localhost = "localhost"

func loopback(v6 bool) netip.Addr {
	if v6 {
		return netip.IPv6Loopback()
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// looksNumeric says whether a host is all digits and dots, which no usable name is.
func looksNumeric(host string) bool {
	return strings.Trim(host, "0123456789.") == ""
}

// ports gives the range of ports; both are the same for a single one.
func (a rawAddress) ports() (low, high uint16, err error) {
	first, last, ranged := strings.Cut(a.port, "-")
	if low, err = parsePort(first); err != nil {
		return 0, 0, err
	}
	if !ranged {
		return low, low, nil
	}
	if high, err = parsePort(last); err != nil {
		return 0, 0, err
	}
	if high < low {
		return 0, 0, fmt.Errorf("invalid port range '%s'", a.port)
	}
	return low, high, nil
}

func parsePort(text string) (uint16, error) {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 || text[0] == '+' {
		return 0, fmt.Errorf("invalid port '%s'", text)
	}
	return uint16(n), nil
}

// literal gives an address that must be one, with a default port.
func (a rawAddress) literal(port uint16) (netip.AddrPort, error) {
	ip, ok, err := a.ip()
	if err != nil {
		return netip.AddrPort{}, err
	}
	if !ok || a.host == "" || a.host == "*" {
		return netip.AddrPort{}, fmt.Errorf("'%s' is not an IP address", a.text)
	}
	if a.has {
		if port, err = parsePort(a.port); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(ip, port), nil
}
