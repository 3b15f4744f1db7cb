package pool

import (
	"fmt"
	"net/netip"
	"testing"
)

// BenchmarkResolveUnchanged is what a query cycle costs when nothing has changed, which is nearly always.
func BenchmarkResolveUnchanged(b *testing.B) {
	for _, n := range []int{3, 64, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			be := New(1).AddBackend(BackendOptions{Name: "be"})
			var slots []*Server
			var r Resolution
			for i := range n {
				o := DefaultServerOptions()
				o.Name, o.FQDN, o.Addr = fmt.Sprint(i), "web", netip.AddrPortFrom(netip.Addr{}, 80)
				slots = append(slots, be.AddServer(o))
				r.Records = append(r.Records, Record{Addr: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})})
			}
			g := be.AddGroup("web", slots)
			g.Resolve(r)
			b.ResetTimer()
			for b.Loop() {
				g.Resolve(r)
			}
		})
	}
}
