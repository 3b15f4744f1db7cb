package sock

import (
	"errors"
	"iter"
	"math/rand/v2"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Source is where a connection comes from. The zero value leaves it to the system.
type Source struct {
	Addr      netip.Addr // invalid or unspecified: the system chooses
	Low, High uint16     // range of ports, both included; 0 and 0: the system chooses
	Interface string     // it leaves by this one, whatever the routes say; "" = by the routes
}

// SourceTries is how many ports of a range are tried for one connection.
const SourceTries = 128

// Ports are what to give to Bind, one after the other, while the answer is that a port is not free: those of the range in turn
// from one drawn at random, SourceTries at most; 0 alone if the system chooses.
func (s Source) Ports() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		size := uint(s.High) - uint(s.Low) + 1
		first := rand.UintN(size)
		for i := range min(size, SourceTries) {
			if !yield(s.Low + uint16((first+i)%size)) {
				return
			}
		}
	}
}

// Bind has a socket that is not connected yet come from the source and one of its ports. Whether that is free is seen when the
// socket connects, since sockets share a port, one for each peer (EADDRNOTAVAIL: it is not). to is the peer.
func (s Source) Bind(fd int, to netip.Addr, port uint16) unix.Errno {
	if s.Interface != "" {
		var e unix.Errno
		if errors.As(unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, s.Interface), &e) {
			return e
		}
	}
	addr := s.Addr
	if !addr.IsValid() || addr.IsUnspecified() {
		if port == 0 {
			return 0
		}
		addr = netip.IPv6Unspecified()
		if to.Unmap().Is4() {
			addr = netip.IPv4Unspecified()
		}
	}
	if addr.Is4() != to.Unmap().Is4() {
		return unix.EAFNOSUPPORT
	}
	if port == 0 { // the system chooses when the peer is known: the port then need only be free towards that one
		enable(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT)
	} else {
		enable(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR)
	}
	var r rawAddr
	r.set(netip.AddrPortFrom(addr, port))
	_, _, e := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&r.any)), uintptr(r.len))
	return e
}

// Taken says whether an error of binding or connecting means that the port is not free.
func Taken(errno unix.Errno) bool { return errno == unix.EADDRNOTAVAIL || errno == unix.EADDRINUSE }
