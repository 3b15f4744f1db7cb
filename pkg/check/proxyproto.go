package check

import (
	"fmt"
	"net"
	"net/netip"
)

// localHeader is version 2 of the PROXY protocol's way to say that a connection is our own and speaks for nobody
// (proxy-protocol.txt, section 2.2): the LOCAL command without addresses.
const localHeader = "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"

// announce sends the PROXY protocol's header to a server that expects it, unless the check goes to another address or
// port, where HAProxy sends it only on demand: by check-send-proxy (section 5.2), or by the step that connects.
func (s Spec) announce(conn net.Conn, demanded bool) error {
	elsewhere := s.Options.Port != 0 || s.Options.Addr.IsValid()
	if !demanded && !s.Options.SendProxy && (s.Server.SendProxy == 0 || elsewhere) {
		return nil
	}
	header := localHeader
	if s.Server.SendProxy != 2 {
		header = localLine(conn.LocalAddr(), conn.RemoteAddr())
	}
	_, err := conn.Write([]byte(header))
	return err
}

// localLine is version 1, which has no word for that: it names the check's own addresses, as HAProxy's does.
func localLine(from, to net.Addr) string {
	src, err1 := netip.ParseAddrPort(from.String())
	dst, err2 := netip.ParseAddrPort(to.String())
	if err1 != nil || err2 != nil {
		return "PROXY UNKNOWN\r\n"
	}
	family := "TCP4"
	if !src.Addr().Unmap().Is4() {
		family = "TCP6"
	}
	return fmt.Sprintf("PROXY %s %s %s %d %d\r\n", family, src.Addr().Unmap(), dst.Addr().Unmap(), src.Port(), dst.Port())
}
