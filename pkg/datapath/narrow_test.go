package datapath

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/vishvananda/netlink"

	"waggle/pkg/lab/ethtool"
	"waggle/pkg/lab/require"
)

// The error is one that gopacket reads, with the checksums that it computes, and quotes the sender's packet.
func TestTooLongPacket(t *testing.T) {
	for _, tt := range []struct {
		sender, ours string
		first        gopacket.LayerType
	}{
		{"203.0.113.9:40001", "192.0.2.1:8080", layers.LayerTypeIPv4},
		{"[2001:db8:1::9]:40001", "[2001:db8::1]:8080", layers.LayerTypeIPv6},
	} {
		p := tooLongPacket(tooLong{sender: ap(tt.sender), ours: ap(tt.ours), seq: 0xfffffffe, ack: 77, mtu: 1300})
		decoded := gopacket.NewPacket(p, tt.first, gopacket.Default)
		var quoted []byte
		var mtu, sent uint16
		buf := gopacket.NewSerializeBuffer()
		again := func(l gopacket.SerializableLayer, payload []byte) uint16 {
			t.Helper()
			if err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{ComputeChecksums: true}, l, gopacket.Payload(payload)); err != nil {
				t.Fatal(err)
			}
			return uint16(buf.Bytes()[2])<<8 | uint16(buf.Bytes()[3])
		}
		switch icmp := decoded.Layers()[1].(type) {
		case *layers.ICMPv4:
			quoted, mtu, sent = icmp.Payload, icmp.Seq, icmp.Checksum
			if icmp.TypeCode != layers.CreateICMPv4TypeCode(3, 4) || again(icmp, icmp.Payload) != sent {
				t.Errorf("%+v", icmp)
			}
		case *layers.ICMPv6:
			quoted, mtu, sent = icmp.Payload[4:], uint16(icmp.Payload[2])<<8|uint16(icmp.Payload[3]), icmp.Checksum
			_ = icmp.SetNetworkLayerForChecksum(decoded.NetworkLayer())
			if icmp.TypeCode != layers.CreateICMPv6TypeCode(2, 0) || again(icmp, icmp.Payload) != sent {
				t.Errorf("%+v", icmp)
			}
		default:
			t.Fatalf("no ICMP: %v", decoded)
		}
		if from, to := decoded.NetworkLayer().NetworkFlow().Endpoints(); from.String() != ap(tt.ours).Addr().String() || to.String() != ap(tt.sender).Addr().String() {
			t.Errorf("from %v to %v", from, to)
		}
		inner := gopacket.NewPacket(quoted, tt.first, gopacket.Default)
		tcp, _ := inner.Layer(layers.LayerTypeTCP).(*layers.TCP)
		from, to := inner.NetworkLayer().NetworkFlow().Endpoints()
		if tcp == nil || mtu != 1300 || tcp.Seq != 0xfffffffe || tcp.SrcPort != 40001 || tcp.DstPort != 8080 || from.String() != ap(tt.sender).Addr().String() || to.String() != ap(tt.ours).Addr().String() {
			t.Errorf("MTU %d, quotes %v", mtu, inner)
		}
		if ip, ok := inner.NetworkLayer().(*layers.IPv4); ok {
			want := ip.Checksum
			if err := ip.SerializeTo(buf, gopacket.SerializeOptions{ComputeChecksums: true}); err != nil || ip.Checksum != want {
				t.Errorf("checksum of the quoted header %04x, want %04x (%v)", want, ip.Checksum, err)
			}
		}
	}
}

// narrower lowers the MTU of an interface of the balancer, and of the other end of its wire, which drops what is longer.
func (top *topology) narrower(t *testing.T, name, port string, mtu int) {
	t.Helper()
	top.fabric.change(t, port, func(l netlink.Link) error { return netlink.LinkSetMTU(l, mtu) })
	top.lb.change(t, name, func(l netlink.Link) error { return netlink.LinkSetMTU(l, mtu) })
}

// When the MTU of an interface is lowered under living flows, their senders learn of it, although no router is there to tell them. Before
// that each transfer stopped at its next full segment.
func TestALoweredMTUStopsNoFlow(t *testing.T) {
	require.Root(t)
	for by, families := range map[string][]string{"frames": {"IPv4", "IPv6"}, "GSO": {"IPv6"}, "XDP": {"IPv4"}} {
		for _, family := range families {
			for _, leg := range []string{"to the task", "to the client"} {
				t.Run(by+" "+family+" "+leg, func(t *testing.T) { testLoweredMTU(t, by, family, leg) })
			}
		}
	}
}

func testLoweredMTU(t *testing.T, by, family, leg string) {
	top := newTopology(t, 1)
	front, task := frontAddr, taskAddr(0)
	if family == "IPv6" {
		front, task = frontAddr6, sixOf(task)
	}
	for _, r := range []*room{top.client, top.tasks[0]} {
		sysctl(t, r, "ipv4/tcp_mtu_probing", "0") // else the ends help themselves
		if by != "GSO" {
			r.must(t, "have each segment be a frame", func() error { return ethtool.TxChecksum("eth0", false) })
		}
	}
	opts := Options{Mode: ModeTC}
	switch by {
	case "GSO":
		for _, name := range []string{"eth0", "eth1"} { // what is joined is cut where it leaves the balancer, as a NIC does
			top.lb.change(t, name, func(l netlink.Link) error { return netlink.LinkSetGSOMaxSegs(l, 1) })
		}
	case "XDP":
		opts.Mode = ModeXDP
		top.forXDP(t, true)
	}
	dp := openIn(t, top.lb, opts)
	d := oneService(1)
	d.Services[0].Binds = []Bind{{AddrPort: netip.AddrPortFrom(netip.MustParseAddr(front), frontPort)}}
	d.Services[0].Servers[0].Addr = netip.AddrPortFrom(netip.MustParseAddr(task), taskPort)
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	served := make(chan net.Conn, 1)
	ln := top.tasks[0].listen(t, fmt.Sprintf(":%d", taskPort))
	go func() {
		if c, err := ln.Accept(); err == nil {
			served <- c
		}
	}()
	client, err := top.client.dial(net.JoinHostPort(front, fmt.Sprint(frontPort)))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server := <-served
	defer server.Close()
	from, to := client, server
	if leg == "to the client" {
		from, to = server, client
	}
	pump(t, from, to, 1<<20)
	if leg == "to the task" {
		top.narrower(t, "eth0", "p"+backAddr[len(backAddr)-2:]+"back", 1300)
	} else {
		top.narrower(t, "eth1", "p"+frontAddr[len(frontAddr)-2:]+"front", 1300)
	}
	pump(t, from, to, 1<<20)
}

// pump sends so many bytes through a connection.
func pump(t *testing.T, from, to net.Conn, size int) {
	t.Helper()
	for _, c := range []net.Conn{from, to} {
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
	}
	sent := make(chan error, 1)
	go func() {
		_, err := from.Write(make([]byte, size))
		sent <- err
	}()
	start := time.Now()
	if n, err := io.CopyN(io.Discard, to, int64(size)); err != nil {
		t.Fatalf("%d of %d bytes came: %v", n, size, err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes in %v", size, time.Since(start))
}

// A flow that gets nothing through is told again until it does; one that goes on, or began later, or goes elsewhere is left alone.
func TestStuckFlowsAreToldAgain(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.establish(t, client(0))
	var told []tooLong
	n := newNarrowing(k.obj, func(l tooLong) { told = append(told, l) })
	look := func(what string, want int) {
		t.Helper()
		told = nil
		if err := n.look(); err != nil {
			t.Fatal(err)
		}
		if len(told) != want {
			t.Errorf("%s: told %d times, want %d: %+v", what, len(told), want, told)
		}
	}
	const iface = loIndex // both ends are there
	later := monotonicNow() + uint64(time.Second)
	n.note(iface+1000, 1500, 1300, later)
	look("another interface", 0)
	n.note(iface, 1500, 1600, later)
	look("a larger MTU", 0)
	n.note(iface, 1500, 1300, 1)
	look("a flow that is younger", 0)
	n.note(iface, 1500, 1300, later)
	look("at first", 2)
	for _, l := range told {
		want := tooLong{sender: c.client, ours: c.front, ifindex: loIndex, seq: c.clientSeq, ack: c.taskSeq, mtu: 1300}
		if l.sender == c.task {
			want = tooLong{sender: c.task, ours: c.back, ifindex: loIndex, seq: c.taskSeq, ack: c.clientSeq, mtu: 1300}
		}
		if l != want {
			t.Errorf("%+v, want %+v", l, want)
		}
	}
	look("nothing is on its way", 0)
	c.fromClient(t, ack, "lost")
	look("it may be on its way still", 0)
	look("it does not arrive", 2)
	look("nor again", 2)
	if told[0].seq != c.clientSeq-4 || told[1].seq != c.clientSeq {
		t.Errorf("quotes %d and %d, want the first byte that is missing, %d, and the end of what was sent, %d, in case that what is missing is known to be there",
			told[0].seq, told[1].seq, c.clientSeq-4, c.clientSeq)
	}
	c.fromTask(t, ack, "")
	c.fromClient(t, ack, "more")
	look("it has arrived, and more is on its way", 0)
	c.fromTask(t, ack, "")
	c.fromClient(t, ack, "rest")
	look("and again", 0)
	c.fromTask(t, ack, "")
	n.note(iface, 1300, 1400, later)
	if n.ifaces[iface].mtu != 1400 {
		t.Errorf("after it was raised a little it is %d", n.ifaces[iface].mtu)
	}
	if len(n.ifaces) != 1 { // the one without flows has gone by itself
		t.Errorf("%d interfaces are looked for", len(n.ifaces))
	}
	n.note(iface, 1300, 1500, later)
	if len(n.ifaces) != 0 {
		t.Error("it is looked for an interface that is as wide as ever")
	}
}
