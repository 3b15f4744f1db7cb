package check

import (
	"context"
	"net"
	"net/netip"
	"syscall"
)

// dialTCP connects without the final ACK of the handshake: TCP_QUICKACK off delays it, so it goes out
// with the first data, or never when the connection is reset before. A check that only connects is
// then SYN, SYN-ACK, RST, and the server's application does not see it (as HAProxy does).
func dialTCP(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1, ControlContext: delayAck}
	return d.DialContext(ctx, "tcp", addr.String())
}

// delayAck is best effort: where the option is refused, the check costs one more packet.
func delayAck(_ context.Context, _, _ string, raw syscall.RawConn) error {
	return raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 0)
	})
}

// acknowledge sends the ACK that dialTCP has kept back, where the server speaks first: it would not see the connection
// before the kernel's timer, 200 ms later.
func acknowledge(conn net.Conn) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) // at worst the timer sends it
	})
}
