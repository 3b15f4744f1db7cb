package sock

import "golang.org/x/sys/unix"

// Mute makes the end of a TCP connection, whose socket is closed next, one of which the peer learns nothing: a socket that is
// being repaired (CAP_NET_ADMIN) is closed without FIN or RST. Without that right, or where hops says so, RST is sent no
// further than so many hops, 1 unless said: to the next router, which keeps its table of connections clean.
func Mute(fd, hops int) {
	if hops == 0 {
		if unix.SetsockoptInt(fd, unix.SOL_TCP, unix.TCP_REPAIR, 1) == nil {
			return
		}
		hops = 1
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_TTL, hops) // of the two one is the socket's
	_ = unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_UNICAST_HOPS, hops)
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}
