package offload

import (
	"waggle/pkg/config"
	"waggle/pkg/unixaddr"
)

// families judges whether clients can be sent to servers of their own family, since the kernel path does not translate
// from one to the other. It is enough that a bind line takes connections of the servers' family: others that come by it
// are userspace's. Names are resolved later, and then the same rule holds for what they turn out to be.
func (j *judge) families(b *config.Proxy) {
	var v4, v6 bool // what the servers are
	for _, s := range b.Servers {
		switch addr := s.Addr.Addr(); {
		case !addr.IsValid(), unixaddr.Is(addr): // the latter is a reason of its own
		case addr.Is4():
			v4 = true
		default:
			v6 = true
		}
	}
	switch {
	case v4 && v6:
		j.no(b.Pos, "backend %s has servers of both families: the kernel path cannot keep their shares", b.Name)
	case v4 && !j.takes(true):
		j.no(b.Pos, "its servers are IPv4 and its binds are IPv6: the kernel path does not translate between them")
	case v6 && !j.takes(false):
		j.no(b.Pos, "its servers are IPv6 and its binds are IPv4: the kernel path does not translate between them")
	}
}

// takes tells whether connections of a family can come by a bind line.
func (j *judge) takes(v4 bool) bool {
	for _, b := range j.frontend.Binds {
		addr := b.Addr.Addr()
		if unixaddr.Is(addr) || addr.Is4() == v4 || v4 && addr.Is6() && addr.IsUnspecified() && !b.V6Only {
			return true
		}
	}
	return len(j.frontend.Binds) == 0 // which is a reason of its own, as a unix socket is
}
