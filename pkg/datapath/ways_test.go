package datapath

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var (
	clientMAC  = [6]byte{2, 0, 0, 0, 0, 0xc1}
	taskMAC    = [6]byte{2, 0, 0, 0, 0, 0xd1}
	gatewayMAC = [6]byte{2, 0, 0, 0, 0, 0xa1}
)

func known(addr string, state int, mac [6]byte) neighbour {
	return neighbour{hop: hop{loIndex, netip.MustParseAddr(addr)}, state: state, mac: mac}
}

// onLink is a table with one network and that of the tasks, and a gateway for the rest.
func onLink(prefix, gateway string) []tableRoute {
	routes := []tableRoute{
		{prefix: netip.MustParsePrefix(prefix), hop: hop{ifindex: loIndex}},
		{prefix: netip.MustParsePrefix("198.51.100.0/24"), hop: hop{ifindex: loIndex}},
	}
	if gateway != "" {
		routes = append(routes, tableRoute{prefix: netip.MustParsePrefix("0.0.0.0/0"), hop: hop{loIndex, netip.MustParseAddr(gateway)}})
	}
	return routes
}

// leaves says by which MACs packets of the flow leave towards the task and the client; zero: the kernel is asked.
func (c *conn) leaves(t *testing.T, toTask, toClient [6]byte) {
	t.Helper()
	c.toTask, c.toClient = toTask, toClient
	c.fromClient(t, ack, "there")
	c.fromTask(t, ack, "and back")
}

var ask [6]byte

func TestPacketsGoToKnownMACs(t *testing.T) {
	for _, tt := range []struct {
		name             string
		routes           []tableRoute
		known            []neighbour
		toTask, toClient [6]byte
	}{
		{name: "nothing is known"},
		{"both are on-link", onLink("192.0.2.0/24", ""),
			[]neighbour{known(clientAddr, unix.NUD_REACHABLE, clientMAC), known(taskAddr(0), unix.NUD_STALE, taskMAC)}, taskMAC, clientMAC},
		{"the client is behind a gateway", onLink("203.0.113.0/24", "192.0.2.254"),
			[]neighbour{known("192.0.2.254", unix.NUD_PERMANENT, gatewayMAC), known(clientAddr, unix.NUD_REACHABLE, clientMAC)}, ask, gatewayMAC},
		{"its gateway has failed", onLink("203.0.113.0/24", "192.0.2.254"),
			[]neighbour{known("192.0.2.254", unix.NUD_FAILED, gatewayMAC)}, ask, ask},
		{"there is no route to it", onLink("203.0.113.0/24", ""), []neighbour{known(clientAddr, unix.NUD_REACHABLE, clientMAC)}, ask, ask},
		{"its route needs more than a MAC", []tableRoute{{prefix: netip.MustParsePrefix("192.0.2.0/24")}},
			[]neighbour{known(clientAddr, unix.NUD_REACHABLE, clientMAC)}, ask, ask},
		{"its route leads elsewhere", []tableRoute{{prefix: netip.MustParsePrefix("192.0.2.0/24"), hop: hop{ifindex: loIndex + 1}}},
			[]neighbour{known(clientAddr, unix.NUD_REACHABLE, clientMAC)}, ask, ask},
		{"its MAC is still asked for", onLink("192.0.2.0/24", ""), []neighbour{known(clientAddr, unix.NUD_INCOMPLETE, ask)}, ask, ask},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKernel(t, Options{})
			k.routes, k.known = tt.routes, tt.known
			k.sync(t, oneService(1))
			c := k.open(t, client(0))
			c.toTask, c.toClient = tt.toTask, tt.toClient
			c.fromTask(t, syn|ack, "")
			c.leaves(t, tt.toTask, tt.toClient)
		})
	}
}

// Whatever happens to a neighbour takes effect for flows that live.
func TestLiveFlowsFollowTheirNeighbours(t *testing.T) {
	k := newKernel(t, Options{})
	k.routes = onLink("192.0.2.0/24", "")
	k.known = []neighbour{known(clientAddr, unix.NUD_REACHABLE, clientMAC), known(taskAddr(0), unix.NUD_REACHABLE, taskMAC)}
	k.sync(t, oneService(1))
	c := k.open(t, client(0))
	c.toTask, c.toClient = taskMAC, clientMAC
	c.fromTask(t, syn|ack, "")
	c.leaves(t, taskMAC, clientMAC)

	tell := func(n neighbour) {
		t.Helper()
		if err := k.tables.neighbour(k.planner.ways, n); err != nil {
			t.Fatal(err)
		}
	}
	moved := [6]byte{2, 0, 0, 0, 0, 0xd2}
	tell(known(taskAddr(0), unix.NUD_REACHABLE, moved))
	c.leaves(t, moved, clientMAC)
	tell(known(taskAddr(0), unix.NUD_FAILED, moved))
	c.leaves(t, ask, clientMAC)
	tell(known(clientAddr, 0, ask)) // deleted
	c.leaves(t, ask, ask)
	tell(known(taskAddr(0), unix.NUD_REACHABLE, moved))
	tell(known(clientAddr, unix.NUD_REACHABLE, clientMAC))
	c.leaves(t, moved, clientMAC)

	// The client is behind a gateway from now on: all identities are new, and the flows ask.
	k.routes = onLink("203.0.113.0/24", "192.0.2.254")
	k.known = append(k.known, known("192.0.2.254", unix.NUD_REACHABLE, gatewayMAC))
	k.sync(t, oneService(1))
	k.known[1].mac = moved
	k.sync(t, oneService(1))
	c.leaves(t, moved, gatewayMAC)
	// The gateway's place is taken by another one.
	k.routes = onLink("203.0.113.0/24", "192.0.2.253")
	k.known = append(k.known, known("192.0.2.253", unix.NUD_REACHABLE, taskMAC))
	k.sync(t, oneService(1))
	c.leaves(t, moved, taskMAC)
	// All of them are gone.
	k.known = nil
	k.sync(t, oneService(1))
	c.leaves(t, ask, ask)
}

// The first SYN goes to the MAC that its server's entry has, which follows the neighbour, too. Its use counts as use of the way.
func TestTheFirstSYNFollowsItsServer(t *testing.T) {
	k := newKernel(t, Options{})
	clients := 0
	leaves := func(to, from [6]byte) {
		t.Helper()
		clients++
		p := packet{src: ap(client(clients)), dst: ap(front()), flags: syn, seq: 1}
		if to == ask {
			came := p.frame(t) // the kernel's neighbour code, which writes the MACs, is not in a run
			to, from = [6]byte(came), [6]byte(came[6:])
		}
		verdict, out := k.send(t, p)
		if got := [12]byte(out); verdict != verdictRedirect || [6]byte(got[:6]) != to || [6]byte(got[6:]) != from {
			t.Fatalf("verdict %d, MACs %x, want %x from %x", verdict, got, to, from)
		}
	}
	tell := func(state int, mac [6]byte) {
		t.Helper()
		if err := k.tables.neighbour(k.planner.ways, known(taskAddr(0), state, mac)); err != nil {
			t.Fatal(err)
		}
	}
	k.sync(t, oneService(1))
	leaves(ask, ask)
	tell(unix.NUD_REACHABLE, taskMAC)
	way := &k.obj.ways[k.planner.ways.index[hop{loIndex, netip.MustParseAddr(taskAddr(0))}]]
	way.Used = 0
	leaves(taskMAC, ourMAC)
	if k.planner.targets.noteUse(k.planner.ways); way.Used != 1 {
		t.Error("a SYN is no use of its way")
	}
	way.Used = 0
	if k.planner.targets.noteUse(k.planner.ways); way.Used != 0 {
		t.Error("a use is noted twice")
	}
	tell(unix.NUD_REACHABLE, gatewayMAC)
	leaves(gatewayMAC, ourMAC)
	tell(unix.NUD_FAILED, gatewayMAC)
	leaves(ask, ask)
	k.known = []neighbour{known(taskAddr(0), unix.NUD_STALE, taskMAC)}
	k.sync(t, oneService(1))
	leaves(taskMAC, ourMAC)
	tell(unix.NUD_REACHABLE, gatewayMAC)
	leaves(gatewayMAC, ourMAC)
	tell(unix.NUD_FAILED, gatewayMAC)
	leaves(ask, ask)
	k.known = nil
	k.sync(t, oneService(1))
	leaves(ask, ask)
}

// A server behind an interface whose MAC has no place in the table of ours is sent to as by any later packet.
func TestTheFirstSYNWithoutAPlaceForOurMAC(t *testing.T) {
	k := newKernel(t, Options{})
	k.known = []neighbour{known(taskAddr(0), unix.NUD_REACHABLE, taskMAC)}
	k.sync(t, oneService(1))
	k.target(t, 101).Own = 0
	p := packet{src: ap(client(0)), dst: ap(front()), flags: syn, seq: 1}
	if verdict, out := k.send(t, p); verdict != verdictRedirect || [6]byte(out) != taskMAC || [6]byte(out[6:]) != ourMAC {
		t.Errorf("verdict %d, MACs %x", verdict, out[:12])
	}
}

// A client is answered by the interface that its route leads to, unless the one that its SYN came in by leads to all addresses of its
// family.
func TestInterfaceOfTheAnswer(t *testing.T) {
	const other = loIndex + 7
	for _, tt := range []struct {
		name     string
		six      bool
		home     uint16 // of the interface that the SYN comes in by
		attached bool   // the other interface has the program
		want     uint32
	}{
		{"IPv4", false, 0, true, other}, {"IPv4, home of IPv4", false, homeV4, true, loIndex}, {"IPv4, home of IPv6", false, homeV6, true, other},
		{"IPv6", true, 0, true, other}, {"IPv6, home of IPv4", true, homeV4, true, other}, {"IPv6, home of IPv6", true, homeV6, true, loIndex},
		{"IPv4, an interface without the program", false, 0, false, loIndex}, {"IPv6, an interface without the program", true, 0, false, loIndex},
	} {
		k := newKernel(t, Options{})
		s := newScene(k, tt.six, 0)
		addr := s.ends["client"].Addr()
		k.routes = []tableRoute{{prefix: netip.PrefixFrom(addr, addr.BitLen()), hop: hop{ifindex: other}}}
		k.sync(t, bothFamilies())
		if err := k.obj.WgIfaces.Put(uint32(loIndex), lbWgIface{Mtu: clientMTU, Home: tt.home}); err != nil {
			t.Fatal(err)
		}
		if tt.attached {
			if err := k.obj.WgIfaces.Put(uint32(other), lbWgIface{Mtu: clientMTU}); err != nil {
				t.Fatal(err)
			}
		}
		s.play(t, halfOpen)
		k.edit(t, keyOf(s.ends["task"], s.ends["back"]), func(f *lbWgFlow) {
			if f.Ifindex != tt.want {
				t.Errorf("%s: answered by interface %d, want %d", tt.name, f.Ifindex, tt.want)
			}
		})
	}
}

// A flow whose client's neighbour was not known at its SYN finds it later.
func TestAFlowLearnsItsWayLater(t *testing.T) {
	k := newKernel(t, Options{})
	k.routes = onLink("192.0.2.0/24", "")
	k.sync(t, oneService(1))
	c := k.establish(t, client(0))
	if err := k.tables.neighbour(k.planner.ways, known(clientAddr, unix.NUD_REACHABLE, clientMAC)); err != nil {
		t.Fatal(err)
	}
	for range 40 { // WG_WAY_AGAIN is 32
		k.send(t, packet{src: c.task, dst: c.back, flags: ack, seq: c.taskSeq, ack: c.clientSeq})
	}
	c.leaves(t, ask, clientMAC)
}

func TestNeglectedNeighbours(t *testing.T) {
	w := newWays(make([]lbWgWay, 4))
	w.begin([]link{{index: loIndex, mac: ourMAC}}, false)
	a, b := known("192.0.2.1", unix.NUD_STALE, clientMAC), known("192.0.2.2", unix.NUD_REACHABLE, clientMAC)
	c := known("192.0.2.3", unix.NUD_STALE, clientMAC)
	for _, n := range []neighbour{a, b, c} {
		w.id(n.hop)
	}
	w.end([]neighbour{a, b, c})
	w.mem[w.index[a.hop]].Used = 1
	w.mem[w.index[b.hop]].Used = 1
	if got := w.neglected(); !slices.Equal(got, []hop{a.hop}) {
		t.Errorf("neglected %v, want %v: %v is being looked after and %v is not used", got, a.hop, b.hop, c.hop)
	}
	if got := w.neglected(); len(got) != 0 {
		t.Errorf("neglected %v without use", got)
	}
	if w.id(known("192.0.2.4", 0, ask).hop) != 0 {
		t.Error("there was room for a fourth in a table of three")
	}
	if w.id(hop{loIndex + 1, a.addr}) != 0 {
		t.Error("there is a way through an interface without the program")
	}
	// What is not listed anew makes room, and an index that is used again is another way.
	before := w.id(a.hop)
	w.begin([]link{{index: loIndex, mac: ourMAC}}, false)
	w.end(nil)
	w.begin([]link{{index: loIndex, mac: ourMAC}}, false)
	for _, n := range []neighbour{c, b, a} {
		if id := w.id(n.hop); id == 0 || id == before {
			t.Errorf("identity %d of %v, %d was another's", id, n.addr, before)
		}
	}
}

func TestTableOfRoutes(t *testing.T) {
	route := func(dst string, f func(*netlink.Route)) netlink.Route {
		r := netlink.Route{LinkIndex: 3, Type: unix.RTN_UNICAST}
		if dst != "" {
			r.Dst, _ = netlink.ParseIPNet(dst)
		}
		if f != nil {
			f(&r)
		}
		return r
	}
	gw := netip.MustParseAddr("192.0.2.254")
	via := func(r *netlink.Route) { r.Gw = gw.AsSlice() }
	for _, tt := range []struct {
		name string
		list []netlink.Route
		want hop
	}{
		{"on-link", []netlink.Route{route("", nil)}, hop{ifindex: 3}},
		{"gateway", []netlink.Route{route("", via)}, hop{3, gw}},
		{"the lower metric decides", []netlink.Route{route("", func(r *netlink.Route) { r.Priority = 100 }), route("", via)}, hop{3, gw}},
		{"two alike", []netlink.Route{route("", via), route("", nil)}, hop{}},
		{"multipath", []netlink.Route{route("", func(r *netlink.Route) { r.MultiPath = []*netlink.NexthopInfo{{}} })}, hop{}},
		{"blackhole", []netlink.Route{route("", func(r *netlink.Route) { r.Type = unix.RTN_BLACKHOLE })}, hop{}},
		{"by type of service", []netlink.Route{route("", via), route("", func(r *netlink.Route) { r.Tos = 16 })}, hop{}},
		{"gateway of the other family", []netlink.Route{route("", func(r *netlink.Route) { r.Via = &netlink.Via{} })}, hop{}},
		{"no carrier", []netlink.Route{route("", func(r *netlink.Route) { r.Flags = unix.RTNH_F_LINKDOWN })}, hop{}},
	} {
		got := slices.DeleteFunc(tableOf(tt.list, netlink.FAMILY_V4), func(r tableRoute) bool { return r.spare })
		if len(got) != 1 || got[0].hop != tt.want || got[0].prefix.String() != "0.0.0.0/0" {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
