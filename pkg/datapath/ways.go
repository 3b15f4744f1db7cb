package datapath

import (
	"maps"
	"net/netip"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	wayBits = 13 // WG_WAY_BITS
	wayMax  = 1 << wayBits
	// routesMax is the size of wg_routes. A larger table (a full feed of BGP) is left to the kernel.
	routesMax = 4096
)

// ways is wg_ways: the neighbours that the program may send to by their MACs, and what the kernel's neighbour code says
// of them. The MAC of a way is given away only while the kernel itself would use it. Not safe for concurrent use.
type ways struct {
	mem    []lbWgWay // wg_ways
	index  map[hop]uint32
	free   []uint32
	next   uint32
	era    uint32 // upper part of new identities
	wanted map[hop]bool
	macs   map[int][6]byte // of our interfaces
	// accepts is link.accepts of our interfaces.
	accepts map[int]uint16
	states  map[hop]int
}

func newWays(mem []lbWgWay) *ways {
	return &ways{mem: mem, index: make(map[hop]uint32), next: 1, states: make(map[hop]int), wanted: make(map[hop]bool)}
}

// begin starts a new list of neighbours. With anew every way gets a new identity: flows then ask again for theirs.
func (w *ways) begin(links []link, anew bool) {
	w.wanted = make(map[hop]bool)
	w.macs, w.accepts = make(map[int][6]byte), make(map[int]uint16)
	for _, l := range links {
		w.macs[l.index], w.accepts[l.index] = l.mac, l.accepts
	}
	if anew {
		for h := range maps.Clone(w.index) {
			w.drop(h)
		}
	}
}

// id returns the identity of the way to h and puts h on the list; 0 if there is no room or no such interface.
func (w *ways) id(h hop) uint32 {
	mac, ok := w.macs[h.ifindex]
	if !ok || !h.addr.IsValid() {
		return 0
	}
	w.wanted[h] = true
	if i, ok := w.index[h]; ok {
		if w.mem[i].From != mac {
			w.forget(i)
			w.mem[i].From = mac
		}
		return w.mem[i].Id
	}
	i := w.next
	switch n := len(w.free); {
	case n > 0:
		i, w.free = w.free[n-1], w.free[:n-1]
	case int(w.next) < len(w.mem):
		w.next++
	default:
		return 0
	}
	w.index[h] = i
	w.era++
	way := &w.mem[i]
	way.From, way.Nexthop, way.Ifindex, way.Used = mac, h.addr.As16(), uint32(h.ifindex), 0
	atomic.StoreUint32(&way.Id, w.era<<wayBits|i)
	return way.Id
}

// end drops what is not on the list any more and takes over all that the kernel knows.
func (w *ways) end(known []neighbour) {
	for h := range maps.Clone(w.index) {
		if !w.wanted[h] {
			w.drop(h)
		}
	}
	found := make(map[hop]bool, len(known))
	for _, n := range known {
		if w.learn(n) {
			found[n.hop] = true
		}
	}
	for h := range w.index {
		if !found[h] {
			w.learn(neighbour{hop: h})
		}
	}
}

// learn takes over what the kernel says of a neighbour; ok is false if it is not on the list.
func (w *ways) learn(n neighbour) (ok bool) {
	i, ok := w.index[n.hop]
	if !ok {
		return false
	}
	w.states[n.hop] = n.state
	if !n.valid() {
		w.forget(i)
		return true
	}
	to := w.mem[i].To
	to.Addr, to.Known = n.mac, macKnown|w.accepts[n.hop.ifindex]
	w.setMAC(i, *(*uint64)(unsafe.Pointer(&to)))
	return true
}

// forget takes the MAC of a way back.
func (w *ways) forget(i uint32) { w.setMAC(i, 0) }

// setMAC writes a whole struct wg_mac at once.
func (w *ways) setMAC(i uint32, mac uint64) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&w.mem[i].To)), mac)
}

// drop frees a way. Its index may be used again at once, since its identity may not.
func (w *ways) drop(h hop) {
	i := w.index[h]
	atomic.StoreUint32(&w.mem[i].Id, 0)
	w.forget(i)
	delete(w.index, h)
	delete(w.states, h)
	w.free = append(w.free, i)
}

// neglected returns the neighbours that packets were sent to since the last call and that the kernel has stopped looking
// after, because it sees none of these packets: an entry becomes stale, and a new MAC or a death would go unnoticed.
func (w *ways) neglected() []hop {
	var out []hop
	for h, i := range w.index {
		if w.mem[i].Used == 0 {
			continue
		}
		w.mem[i].Used = 0
		if w.states[h] == unix.NUD_STALE {
			out = append(out, h)
		}
	}
	return out
}

// routeKey is the key of a prefix in wg_routes, where addresses of both families are.
func routeKey(p netip.Prefix) lbWgRouteKey {
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	return lbWgRouteKey{Bits: uint32(bits), Addr: p.Addr().As16()}
}

// portBits is wg_ports.
type portBits []uint64

// add makes the program look at packets to the ports. They stay: flows outlive their service.
func (b portBits) add(from, to uint16) {
	for p := int(from); p <= int(to); p++ {
		atomic.StoreUint64(&b[p/64], b[p/64]|1<<(p%64))
	}
}
