package datapath

import (
	"encoding/binary"
	"net/netip"
	"testing"
)

func TestHandshakeAndData(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.open(t, client(0))
	if c.task != ap(taskAddr(0)+":9000") || c.back.Addr().String() != backAddr {
		t.Fatalf("SYN goes from %s to %s", c.back, c.task)
	}
	if p := c.back.Port(); p < 1024 || p > 32767 {
		t.Errorf("source port %d is outside of the range", p)
	}
	if s := c.state(t); s != FlowHalfOpen {
		t.Errorf("after the SYN: %s", s)
	}
	// The retransmission of the SYN goes to the same task from the same port, and is no second connection.
	c.clientSeq--
	c.fromClient(t, syn, "")

	c.fromTask(t, syn|ack, "")
	if s := c.state(t); s != FlowHalfOpen {
		t.Errorf("after the SYN-ACK: %s", s)
	}
	if n := k.snapshot(t).Total; n.Sessions != 0 || n.HalfOpen != 1 {
		t.Errorf("after the SYN-ACK: %+v", n)
	}
	c.fromClient(t, ack, "")
	if s := c.state(t); s != FlowEstablished {
		t.Errorf("after the ACK: %s", s)
	}
	c.fromClient(t, ack|psh, "GET / HTTP/1.1\r\n\r\n")
	c.fromTask(t, ack|psh, "odd length!")

	s := k.snapshot(t)
	want := Counts{Sessions: 1, Connections: 1, BytesIn: 18, BytesOut: 11, Current: 1, Entries: 1}
	for name, got := range map[string]Counts{"total": s.Total, "service": s.Services[7], "server": s.Servers[101]} {
		if got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	flow := k.flows(t)[0]
	flow.ID, flow.Age, flow.Idle = 0, 0, 0
	if flow != (Flow{Service: 7, Server: 101, Client: c.client, Front: c.front, Back: c.back, Task: c.task,
		State: FlowEstablished, BytesIn: 18, BytesOut: 11}) {
		t.Errorf("flow %+v", flow)
	}
}

func TestRetransmissionsAreNotCounted(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.establish(t, client(0))
	c.fromClient(t, ack, "twelve bytes")
	c.clientSeq -= 12
	c.fromClient(t, ack, "twelve bytes and eleven")
	c.clientSeq -= 23
	c.fromClient(t, ack, "twelve bytes")
	c.clientSeq += 11
	c.clientSeq += 100 // lost on the way to us
	c.fromClient(t, ack, "x")
	if got := k.snapshot(t).Total.BytesIn; got != 23+100+1 {
		t.Errorf("bytes in: %d, want 124", got)
	}
}

// What was lost on the way to us is counted when it comes, be it before a bare ACK or behind it. The number of a FIN is no byte.
func TestWhatWasLostIsCountedWhenItComes(t *testing.T) {
	for _, lost := range []struct {
		flags   uint8
		payload string
	}{{fin | ack, ""}, {ack | psh, "twelve bytes"}, {fin | ack, "twelve bytes"}} {
		for _, ofClient := range []bool{true, false} {
			k := newKernel(t, Options{})
			k.sync(t, oneService(1))
			c := k.establish(t, client(0))
			say, next, other := c.fromTask, &c.taskSeq, c.fromClient
			if ofClient {
				say, next, other = c.fromClient, &c.clientSeq, c.fromTask
			}
			bytes := func() uint64 {
				s := k.snapshot(t).Total
				return s.BytesIn + s.BytesOut
			}
			say(t, ack|psh, "first")
			*next += advance(lost.flags&fin, lost.payload) // it does not come by
			say(t, ack, "")
			if n := bytes(); n != 5 {
				t.Errorf("%+v, of the client %v: %d bytes before it comes, want 5", lost, ofClient, n)
			}
			*next -= advance(lost.flags&fin, lost.payload)
			say(t, lost.flags, lost.payload)
			if n, want := bytes(), uint64(5+len(lost.payload)); n != want {
				t.Errorf("%+v, of the client %v: %d bytes, want %d", lost, ofClient, n, want)
			}
			if other(t, fin|ack, ""); lost.flags&fin != 0 && c.state(t) != FlowClosed {
				t.Errorf("%+v, of the client %v: the flow is %s", lost, ofClient, c.state(t))
			}
		}
	}
}

func TestPromotionNeedsTheServersSequenceNumber(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.open(t, client(0))
	early := packet{src: c.client, dst: c.front, flags: ack, seq: c.clientSeq, ack: 1}
	k.send(t, early) // before any SYN-ACK; syn_next is 0 then, and 1 must not be taken for it
	early.ack = 0
	k.send(t, early)
	c.fromTask(t, syn|ack, "")
	for _, guess := range []uint32{c.taskSeq - 1, c.taskSeq + 1, 0} {
		k.send(t, packet{src: c.client, dst: c.front, flags: ack, seq: c.clientSeq, ack: guess})
	}
	if s := c.state(t); s != FlowHalfOpen {
		t.Fatalf("a guessed ACK made the flow %s", s)
	}
	c.fromClient(t, ack, "")
	if s := c.state(t); s != FlowEstablished {
		t.Fatalf("the right ACK left the flow %s", s)
	}
}

func TestMSSIsClampedWhereTheLegsDiffer(t *testing.T) {
	const fits = taskMTU - 40
	for _, tt := range []struct {
		name      string
		pad       int
		mss, want uint16
	}{
		{"larger", 0, 1460, fits},
		{"smaller stays", 0, 536, 536},
		{"at an odd offset", 1, 1460, fits},
		{"at an odd offset, bytes that differ", 3, 0x1234, fits},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKernel(t, Options{})
			k.sync(t, oneService(1))
			p := packet{src: ap(client(0)), dst: ap(front()), flags: syn, seq: 1, mss: tt.mss, pad: tt.pad}
			_, out := k.send(t, p)
			want := p
			got := decode(t, out)
			want.src, want.dst, want.ttl, want.mss = got.src, got.dst, 63, tt.want
			k.expect(t, p, want)
		})
	}
}

// What is not as long as an MSS option is, is none.
func TestAnOptionOfAWrongLengthIsNoMSS(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	const option = 14 + 20 + 20
	frame := packet{src: ap(client(0)), dst: ap(front()), flags: syn, seq: 1, mss: 1460}.frame(t)
	if frame[option] != 2 || frame[option+1] != 4 {
		t.Fatalf("% x", frame)
	}
	for length, want := range map[byte]uint16{4: taskMTU - 40, 3: 1460, 6: 1460} {
		frame[option+1] = length
		verdict, out := k.sendFrame(t, frame)
		if mss := binary.BigEndian.Uint16(out[option+2:]); verdict != verdictRedirect || mss != want {
			t.Errorf("length %d: verdict %d, MSS %d, want %d", length, verdict, mss, want)
		}
	}
}

// The MSS is what fits the smallest MTU that the ends do not know of: of the interface towards the client, of its route, of the way
// to the server.
func TestMSSForAllMTUs(t *testing.T) {
	for _, tt := range []struct {
		name                  string
		client, route, server uint16 // MTUs: of the client's interface, of its route (0: none of its own), towards the server
		small                 bool   // the server's is that of a route of ours
		want                  uint16 // 0: as it was
	}{
		{"alike", 1500, 0, 1500, false, 0},
		{"the server's is smaller", 1500, 0, 1400, false, 1360},
		{"the client's is smaller", 1400, 0, 1500, false, 1360},
		{"alike, by a route to the server", 1400, 0, 1400, true, 1360},
		{"the client's route", 1500, 1300, 1500, false, 1260},
		{"the client's route is the smallest of three", 1500, 1300, 1400, false, 1260},
		{"the client's route is larger than the server's", 1500, 1450, 1400, false, 1360},
		{"the client's route is like the server's", 1500, 1400, 1400, false, 1360},
		{"the client's route is larger than its interface", 1400, 1450, 1500, false, 1360},
		{"the client's route is like its interface", 1400, 1400, 1400, false, 0},
		{"no segment fits", 1500, 40, 1500, false, 0},
		{"one byte fits", 1500, 41, 1500, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKernel(t, Options{})
			if tt.route > 0 {
				k.routes = []tableRoute{{prefix: netip.MustParsePrefix(clientAddr + "/32"), hop: hop{ifindex: loIndex}, mtu: uint32(tt.route)}}
			}
			k.sync(t, oneService(1))
			target := k.target(t, 101)
			target.Mtu, target.Small = tt.server, map[bool]uint8{true: 1}[tt.small]
			if err := k.obj.WgIfaces.Put(uint32(loIndex), lbWgIface{Mtu: uint32(tt.client)}); err != nil {
				t.Fatal(err)
			}
			p := packet{src: ap(clientAddr + ":4000"), dst: ap(front()), flags: syn, seq: 1, mss: 1460}
			verdict, out := k.send(t, p)
			if verdict != verdictRedirect {
				t.Fatalf("verdict %d", verdict)
			}
			if tt.want == 0 {
				tt.want = p.mss
			}
			if got := binary.BigEndian.Uint16(out[tcpOff(out)+20+2:]); got != tt.want {
				t.Errorf("an MSS of %d, want %d", got, tt.want)
			}
		})
	}
}

func TestTTL(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	k.refuse(t, packet{src: ap(client(0)), dst: ap(front()), flags: syn, ttl: 1}, "ttl_syn")
	c := k.establish(t, client(0))
	verdict, _ := k.send(t, packet{src: c.client, dst: c.front, flags: ack, seq: c.clientSeq, ack: c.taskSeq, ttl: 1})
	if verdict != verdictDrop || k.reasons(t)["ttl"] != 1 {
		t.Errorf("TTL 1 in a flow: verdict %d, reasons %v", verdict, k.reasons(t))
	}
}

func TestWhatIsNotOurs(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	from, to := ap(client(0)), ap(front())
	k.refuse(t, packet{src: from, dst: to, flags: ack, seq: 1, ack: 1}, "no_flow")
	k.refuse(t, packet{src: from, dst: to, flags: syn | ack, seq: 1, ack: 1}, "no_flow")
	k.refuse(t, packet{src: from, dst: to, flags: syn | rst}, "no_flow")
	k.refuse(t, packet{src: from, dst: to, flags: syn, fragment: true}, "fragment")
	k.refuse(t, packet{src: from, dst: to, flags: syn, options: []byte{1, 1, 1, 0}}, "ip_options")
	k.refuse(t, packet{src: from, dst: to, flags: syn, claim: 10}, "bad_length")
	k.refuse(t, packet{src: from, dst: to, flags: syn, claim: -1}, "bad_length")
	// The port alone is no match: this packet is in transit to someone else.
	k.refuse(t, packet{src: from, dst: ap("192.0.2.77:8080"), flags: syn}, "")
	k.refuse(t, packet{src: from, dst: ap(frontAddr + ":8081"), flags: syn}, "")
	if n := k.entries(t); n != 0 {
		t.Errorf("%d entries in the table", n)
	}
	short := packet{src: from, dst: to, flags: syn}.frame(t)[:40]
	k.refuseFrame(t, short, "")
	udp := packet{src: from, dst: to, flags: syn}.frame(t)
	udp[23] = 17
	k.refuseFrame(t, udp, "")
	elsewhere := packet{src: from, dst: to, flags: syn}.frame(t)
	elsewhere[0], elsewhere[5] = 2, 9
	k.refuseFrame(t, elsewhere, "") // for another MAC, seen because the interface is promiscuous
	six := packet{src: from, dst: to, flags: syn}.frame(t)
	six[12], six[13] = 0x86, 0xdd
	k.refuseFrame(t, six, "")
}

func TestBindOfOneAddress(t *testing.T) {
	k := newKernel(t, Options{})
	d := oneService(1)
	d.Services[0].Binds = binds(backAddr + ":8080")
	k.sync(t, d)
	k.refuse(t, packet{src: ap(client(0)), dst: ap(front()), flags: syn}, "")
	if verdict, _ := k.send(t, packet{src: ap(client(0)), dst: ap(backAddr + ":8080"), flags: syn}); verdict != verdictRedirect {
		t.Errorf("verdict %d, want redirect", verdict)
	}
}
