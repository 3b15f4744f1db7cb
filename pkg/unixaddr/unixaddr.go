// Package unixaddr has addresses of unix sockets among those of the Internet: where a server is, and what a frontend listens
// on, is a [netip.AddrPort] everywhere, and a few are one of these. Such an address is that of IPv6's discard prefix (RFC 6666),
// to which nobody connects, with the socket's name for a zone. It is compared, kept and passed on like any other.
package unixaddr

import (
	"net/netip"
	"strings"
)

// base is what all of them have in common.
var base = netip.AddrFrom16([16]byte{0: 1})

// port is what they have for a port, since a server's port of 0 means the client's.
const port = 1

// sunPath is the room for a name in a struct sockaddr_un (unix(7)).
const sunPath = 108

// The prefixes of names in the abstract namespace, as HAProxy's configuration has them: padded with zeros to the whole of
// sun_path, and not.
const (
	Padded   = "abns@"
	Unpadded = "abnsz@"
)

// Of gives the address of a socket: a path, or a name in the abstract namespace behind its prefix. The name is not empty.
func Of(name string) netip.AddrPort { return netip.AddrPortFrom(base.WithZone(name), port) }

// Name gives the path, or the name with its prefix; false if it is no unix socket's address.
func Name(a netip.Addr) (string, bool) {
	name := a.Zone()
	return name, name != "" && a.WithZone("") == base
}

// Is says whether it is a unix socket's address.
func Is(a netip.Addr) bool { _, ok := Name(a); return ok }

// Abstract says whether a name is in the abstract namespace, and no path.
func Abstract(name string) bool {
	return strings.HasPrefix(name, Padded) || strings.HasPrefix(name, Unpadded)
}

// String gives an address as a configuration spells it.
func String(a netip.AddrPort) string {
	name, ok := Name(a.Addr())
	switch {
	case !ok:
		return a.String()
	case Abstract(name):
		return name
	default:
		return "unix@" + name
	}
}

// SunPath gives what the kernel has for a name in sun_path, all of it that counts: a path ends in a zero, an abstract name
// begins with one. It is at most 108 bytes long if the name is one that a configuration accepts.
func SunPath(name string) []byte {
	if rest, ok := strings.CutPrefix(name, Padded); ok {
		b := make([]byte, sunPath)
		copy(b[1:], rest)
		return b
	}
	if rest, ok := strings.CutPrefix(name, Unpadded); ok {
		return append([]byte{0}, rest...)
	}
	return append([]byte(name), 0)
}
