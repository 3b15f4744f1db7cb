package sock

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"waggle/pkg/unixaddr"
)

// rawAddr is a socket address as the kernel wants it.
type rawAddr struct {
	any unix.RawSockaddrAny
	len uint32
}

func (r *rawAddr) set(ap netip.AddrPort) {
	addr := ap.Addr()
	if name, ok := unixaddr.Name(addr); ok {
		r.setUnix(name)
		return
	}
	if addr.Is4() || addr.Is4In6() {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&r.any))
		*sa = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: addr.Unmap().As4()}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], ap.Port())
		r.len = unix.SizeofSockaddrInet4
		return
	}
	sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&r.any))
	*sa = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: addr.As16()}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:], ap.Port())
	r.len = unix.SizeofSockaddrInet6
}

// addrPort returns the address, IPv4-mapped ones as IPv4; the zero value for other families, unix sockets too. A link-local one has no zone, as with
// HAProxy: it would stand in headers and logs, and be in no network that a rule names (netip.Prefix.Contains).
func (r *rawAddr) addrPort() netip.AddrPort {
	switch r.any.Addr.Family {
	case unix.AF_INET:
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&r.any))
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:]))
	case unix.AF_INET6:
		sa := (*unix.RawSockaddrInet6)(unsafe.Pointer(&r.any))
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&sa.Port))[:]))
	}
	return netip.AddrPort{}
}

// LocalAddr returns the address a socket is bound to, the zero value if it cannot be had.
func LocalAddr(fd int) netip.AddrPort {
	var r rawAddr
	r.len = unix.SizeofSockaddrAny
	if _, _, e := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&r.any)), uintptr(unsafe.Pointer(&r.len))); e != 0 {
		return netip.AddrPort{}
	}
	return r.addrPort()
}
