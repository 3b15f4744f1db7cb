package datapath

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
)

// readyForXDP is an established connection whose packets XDP takes.
func readyForXDP(t *testing.T, accepts uint16) (*kernel, *conn) {
	t.Helper()
	k := newKernel(t, Options{})
	k.useXDP(t, accepts)
	s := newScene(k, false, 0)
	s.know(xdpMACs)
	k.sync(t, oneService(1))
	c := &conn{k: k, client: s.ends["client"], front: s.ends["front"], clientSeq: 1000, taskSeq: 5000, toTask: taskMAC, toClient: clientMAC}
	_, out := k.send(t, packet{src: c.client, dst: c.front, flags: syn, seq: c.clientSeq})
	got := decode(t, out)
	c.back, c.task = got.src, got.dst
	c.clientSeq++
	c.fromTask(t, syn|ack, "")
	c.fromClient(t, ack, "")
	return k, c
}

// takes demands that XDP sends the client's frame off by itself, or leaves it to TC.
func (c *conn) takes(t *testing.T, what string, frame []byte, want bool) {
	t.Helper()
	c.k.sendByXDP(t, frame)
	if c.k.byXDP != want {
		t.Errorf("%s: taken by XDP: %v, want %v", what, c.k.byXDP, want)
	}
}

func (c *conn) data(t *testing.T, payload string) []byte {
	t.Helper()
	return packet{src: c.client, dst: c.front, flags: ack, seq: c.clientSeq, ack: c.taskSeq, payload: payload}.frame(t)
}

// A sender that leaves the sum to hardware puts that of the pseudo-header into the field. To change it as if it were
// whole would have the receiver throw the packet away.
func TestXDPLeavesPartialChecksumsToTC(t *testing.T) {
	k, c := readyForXDP(t, macXDP|macXDPBack)
	whole := c.data(t, "GET")
	c.takes(t, "a whole checksum", whole, true)
	before := k.reasons(t)["xdp_checksum"]
	partial := bytes.Clone(whole)
	binary.BigEndian.PutUint16(partial[34+16:], pseudoSum(partial[26:34], 6, binary.BigEndian.Uint16(partial[16:])-20))
	c.takes(t, "the sum of the pseudo-header", partial, false)
	if n := k.reasons(t)["xdp_checksum"] - before; n != 1 {
		t.Errorf("counted %d times", n)
	}
}

// pseudoSum is what Linux puts into the field (RFC 9293, section 3.1): the folded sum, not its complement.
func pseudoSum(addrs []byte, protocol, length uint16) uint16 {
	sum := uint32(protocol) + uint32(length)
	for ; len(addrs) > 0; addrs = addrs[2:] {
		sum += uint32(binary.BigEndian.Uint16(addrs))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

func TestXDPLeavesToTCWhatItCannotSend(t *testing.T) {
	k, c := readyForXDP(t, macXDP|macXDPBack)
	promiscuous := c.data(t, "x")
	copy(promiscuous, []byte{2, 9, 9, 9, 9, 9})
	tagged := c.data(t, "x")
	tagged = append(append(bytes.Clone(tagged[:12]), 0x81, 0, 0, 10), tagged[12:]...)
	multicast := c.data(t, "x")
	multicast[0] |= 1
	for what, frame := range map[string][]byte{"a frame to another MAC": promiscuous, "a frame with a VLAN tag": tagged, "a multicast frame": multicast} {
		c.takes(t, what, frame, false)
	}
	c.takes(t, "a plain frame", c.data(t, "x"), true)
	again := packet{src: c.client, dst: c.front, flags: syn, seq: c.clientSeq + 1000}
	c.takes(t, "a SYN", again.frame(t), false)
	last := packet{src: c.client, dst: c.front, flags: ack, seq: c.clientSeq, ack: c.taskSeq, ttl: 1}
	c.takes(t, "a frame at the end of its way", last.frame(t), false)
	_, out := k.send(t, packet{src: netip.AddrPortFrom(c.client.Addr(), 77), dst: c.front, flags: syn, seq: 1})
	asked := decode(t, out)
	refusal := packet{src: asked.dst, dst: asked.src, flags: rst | ack, ack: 2}
	c.takes(t, "a refusal", refusal.frame(t), false)
	headers := len(c.data(t, string(make([]byte, 100)))) - 100 // short frames are padded
	c.takes(t, "a frame as long as the MTU allows", c.data(t, string(make([]byte, 14+clientMTU-headers))), true)
	c.takes(t, "a frame that was joined to more", c.data(t, string(make([]byte, 14+clientMTU-headers+1))), false)

	before := k.reasons(t)["xdp_way"]
	k.accepts = 0 // the driver takes no frames from XDP any more
	k.sync(t, oneService(1))
	c.takes(t, "no way for XDP", c.data(t, "x"), false)
	k.accepts = macXDP
	k.known = nil // nor is the MAC known
	k.sync(t, oneService(1))
	c.takes(t, "no MAC", c.data(t, "x"), false)
	if n := k.reasons(t)["xdp_way"] - before; n != 2 {
		t.Errorf("counted %d times, want 2", n)
	}
}

// A frame in several buffers goes by XDP only where the interface takes such.
func TestXDPFramesInSeveralBuffers(t *testing.T) {
	long := string(make([]byte, 7000)) // more than a page
	for accepts, want := range map[uint16]bool{macXDP | macXDPBack: false, macXDP | macXDPBack | macXDPBuffers: true} {
		k, c := readyForXDP(t, accepts)
		if err := k.obj.WgIfaces.Put(uint32(loIndex), lbWgIface{Mtu: 9000}); err != nil {
			t.Fatal(err)
		}
		frame := c.data(t, long)
		c.takes(t, "a frame of 7000 bytes", frame, want)
		if want {
			c.fromClient(t, ack, long)
			if !c.k.byXDP {
				t.Error("not by XDP")
			}
		}
	}
}

// Where the program is not known to be on the interface, the frame is TC's.
func TestXDPLeavesForeignInterfacesToTC(t *testing.T) {
	k, c := readyForXDP(t, macXDP|macXDPBack)
	c.takes(t, "its own interface", c.data(t, "GET"), true)
	if err := k.obj.WgIfaces.Delete(uint32(loIndex)); err != nil {
		t.Fatal(err)
	}
	c.takes(t, "another one", c.data(t, "GET"), false)
}

// By the interface that a frame came in by it is sent back, by any other one it is redirected; and who sends to a neighbour says so, since
// the kernel sees none of it.
func TestXDPSendsByTheInterfaceOfAWay(t *testing.T) {
	k, c := readyForXDP(t, macXDP|macXDPBack)
	for _, ifindex := range []uint32{loIndex, loIndex + 1} {
		var way *lbWgWay
		for i := range k.obj.ways {
			if k.obj.ways[i].Id != 0 && k.obj.ways[i].To.Addr == taskMAC {
				way = &k.obj.ways[i]
			}
		}
		if way == nil {
			t.Fatal("the task's MAC is not known")
		}
		way.Ifindex, way.Used = ifindex, 0
		frame, verdict := c.data(t, "GET"), uint32(0)
		k.must(t, "run", func() (err error) {
			verdict, err = k.obj.express.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)})
			return err
		})
		if want := map[uint32]uint32{loIndex: xdpBack, loIndex + 1: xdpRedirect}[ifindex]; verdict != want {
			t.Errorf("to interface %d: verdict %d, want %d", ifindex, verdict, want)
		}
		if way.Used != 1 {
			t.Errorf("to interface %d: the neighbour counts as unused", ifindex)
		}
	}
}
