package datapath

import (
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// tcpOff is where TCP begins in a frame without options.
func tcpOff(f []byte) int {
	if f[12] == 0x86 {
		return 54
	}
	return 34
}

// header puts an extension header between IPv6 and TCP.
func header(kind byte, body ...byte) func([]byte) []byte {
	return func(f []byte) []byte {
		out := append([]byte(nil), f[:54]...)
		out = append(append(out, body...), f[54:]...)
		out[54], out[20] = f[20], kind
		binary.BigEndian.PutUint16(out[18:], binary.BigEndian.Uint16(f[18:])+uint16(len(body)))
		return out
	}
}

// options puts so many headers with destination options in front of TCP.
func options(n int) func([]byte) []byte {
	return func(f []byte) []byte {
		for range n {
			f = header(unix.IPPROTO_DSTOPTS, 0, 0, 1, 4, 0, 0, 0, 0)(f)
		}
		return f
	}
}

func TestTCPRows(t *testing.T) {
	synIn := pkt{from: "client", to: "front", flags: syn, seq: -1, mss: 1380}
	synOut := pkt{from: "back", to: "task", flags: syn, seq: -1, mss: 1380}
	data := pkt{from: "client", to: "front", flags: ack | psh, payload: "odd"}
	dataOut := pkt{from: "back", to: "task", flags: ack | psh, payload: "odd"}
	answer := pkt{from: "task", to: "back", flags: ack, payload: "even"}
	answerOut := pkt{from: "front", to: "client", flags: ack, payload: "even"}
	opened := counts{"connections": 1, "half-open": 1, "entries": 1}
	// there passes from the client on, back to it.
	there := func(name string, start stage, p pkt, c counts) row {
		out := p
		out.from, out.to = "back", "task"
		return row{name: name, start: start, in: p, out: out, counts: c}
	}
	back := func(name string, start stage, p pkt, c counts) row {
		out := p
		out.from, out.to = "front", "client"
		return row{name: name, start: start, in: p, out: out, counts: c}
	}
	fromClient := func(flags uint8, seq int32, payload string) pkt {
		return pkt{from: "client", to: "front", flags: flags, seq: seq, payload: payload}
	}
	fromTask := func(flags uint8, seq int32, payload string) pkt {
		return pkt{from: "task", to: "back", flags: flags, seq: seq, payload: payload}
	}
	passes := func(name string, start stage, p pkt, reason string, strange func([]byte) []byte) row {
		r := row{name: name, start: start, in: p, verdict: verdictNext, frame: strange}
		if reason != "" {
			r.counts = counts{reason: 1}
		}
		return r
	}
	only := func(family int, r row) row { r.only = family; return r }
	mac := func(r row, known map[string][6]byte, to [6]byte) row {
		r.known, r.toMAC = known, to
		return r
	}
	wish := func(r row, f func(*Desired)) row { r.desired = f; return r }
	each := func(f func(*Service)) func(*Desired) {
		return func(d *Desired) {
			for i := range d.Services {
				f(&d.Services[i])
			}
		}
	}
	drops := func(name string, start stage, p pkt, reason string) row {
		return row{name: name, start: start, in: p, verdict: verdictDrop, counts: counts{reason: 1}}
	}

	// optioned is a SYN whose MSS stands behind pad bytes of options, which begin with these; it is found or not.
	optioned := func(behind string, found bool, pad int, bytes ...byte) row {
		mss := map[bool]uint16{false: 1460, true: 1410}[found]
		return row{name: "SYN with its MSS behind " + behind, only: 4, in: pkt{from: "client", to: "front", flags: syn, mss: 1460, pad: pad},
			out: pkt{from: "back", to: "task", flags: syn, mss: mss, pad: pad}, counts: opened,
			frame: func(f []byte) []byte { copy(f[tcpOff(f)+20:], bytes); return f }}
	}

	runRows(t, []row{
		// Opening.
		{name: "SYN", in: synIn, out: synOut, counts: opened},
		{name: "SYN with a large MSS", in: pkt{from: "client", to: "front", flags: syn, mss: 1401},
			out: pkt{from: "back", to: "task", flags: syn, mss: 1401}, counts: opened, only: 4},
		{name: "SYN with a larger MSS than the task's leg takes", only: 4, in: pkt{from: "client", to: "front", flags: syn, mss: 1460},
			out: pkt{from: "back", to: "task", flags: syn, mss: 1410}, counts: opened},
		{name: "SYN with a larger MSS than the task's leg takes", only: 6, in: pkt{from: "client", to: "front", flags: syn, mss: 1440},
			out: pkt{from: "back", to: "task", flags: syn, mss: 1390}, counts: opened},
		{name: "SYN with its MSS at an odd offset", only: 4, in: pkt{from: "client", to: "front", flags: syn, mss: 1460, pad: 3},
			out: pkt{from: "back", to: "task", flags: syn, mss: 1410, pad: 3}, counts: opened},
		optioned("seven of padding", true, 7),
		optioned("more padding than is looked through", false, 8),
		optioned("another option", true, 4, 99, 4, 99, 99),
		optioned("the end of the list", false, 4, 1, 0, 1, 1),
		optioned("an option of length 0", false, 4, 99, 0, 1, 1),
		optioned("an option of length 1", false, 4, 99, 1, 1, 1),
		optioned("an MSS of another size", false, 4, 2, 3, 1, 1),
		{name: "SYN without MSS", in: pkt{from: "client", to: "front", flags: syn}, out: pkt{from: "back", to: "task", flags: syn}, counts: opened},
		{name: "SYN with payload (fast open)", in: pkt{from: "client", to: "front", flags: syn, payload: "early"},
			out: pkt{from: "back", to: "task", flags: syn, payload: "early"}, counts: counts{"connections": 1, "half-open": 1, "entries": 1, "bytes in": 5}},
		mac(row{name: "SYN to a known MAC", in: synIn, out: synOut, counts: opened}, map[string][6]byte{"task": taskMAC}, taskMAC),
		there("SYN again", halfOpen, synIn, nil),
		there("SYN in an established flow", established, synIn, nil),
		back("SYN-ACK", halfOpen, fromTask(syn|ack, -1, ""), nil),
		back("SYN-ACK with a large MSS", halfOpen, pkt{from: "task", to: "back", flags: syn | ack, seq: -1, mss: 1300}, nil),
		back("SYN-ACK again", answered, fromTask(syn|ack, -1, ""), nil),
		there("ACK of the SYN-ACK", answered, fromClient(ack, 0, ""), counts{"sessions": 1, "established": 1, "half-open": -1}),
		there("ACK of the SYN-ACK with data", answered, fromClient(ack, 0, "GET"), counts{"sessions": 1, "established": 1, "half-open": -1, "bytes in": 3}),
		there("ACK of another number", answered, pkt{from: "client", to: "front", flags: ack, ack: 1}, nil),
		there("ACK before any SYN-ACK", halfOpen, pkt{from: "client", to: "front", flags: ack, ack: 7}, nil),
		back("refusal", halfOpen, fromTask(rst|ack, 0, ""), counts{"half-open": -1}),
		there("RST of an impatient client", halfOpen, fromClient(rst, 0, ""), counts{"half-open": -1}),

		// Data.
		{name: "data", start: established, in: data, out: dataOut, counts: counts{"bytes in": 3}},
		{name: "data of the task", start: established, in: answer, out: answerOut, counts: counts{"bytes out": 4}},
		mac(row{name: "data to a known MAC", start: established, in: data, out: dataOut, counts: counts{"bytes in": 3}},
			map[string][6]byte{"task": taskMAC, "client": clientMAC}, taskMAC),
		mac(row{name: "data of the task to a known MAC", start: established, in: answer, out: answerOut, counts: counts{"bytes out": 4}},
			map[string][6]byte{"task": taskMAC, "client": clientMAC}, clientMAC),
		there("ACK", established, fromClient(ack, 0, ""), nil),
		back("ACK of the task", established, fromTask(ack, 0, ""), nil),
		there("data behind a gap", established, fromClient(ack, 100, "x"), counts{"bytes in": 101}),
		there("data that was there before", established, fromClient(ack, -5, "12345"), nil),
		there("data from long before", established, fromClient(ack, -9, "1234"), nil),
		there("data that overlaps", established, fromClient(ack, -2, "12345"), counts{"bytes in": 3}),
		there("ACK behind what was lost", established, fromClient(ack, 1, ""), nil),
		back("ACK of the task behind what was lost", established, fromTask(ack, 1, ""), nil),
		there("data beyond any window", established, fromClient(ack, 1<<27, "x"), nil),
		there("keepalive probe", established, fromClient(ack, -1, ""), nil),
		there("packet without flags", established, fromClient(0, 0, ""), nil),
		there("urgent packet", established, fromClient(ack|0x20, 0, "!"), counts{"bytes in": 1}),

		// Ending.
		there("FIN", established, fromClient(fin|ack, 0, ""), nil),
		there("FIN with data", established, fromClient(fin|ack, 0, "bye"), counts{"bytes in": 3}),
		back("FIN of the task", established, fromTask(fin|ack, 0, ""), nil),
		back("FIN of the task after the client's", clientFin, pkt{from: "task", to: "back", flags: fin | ack, ack: 1}, counts{"established": -1}),
		there("FIN of the client after the task's", taskFin, pkt{from: "client", to: "front", flags: fin | ack, ack: 1}, counts{"established": -1}),
		there("ACK after both FINs", closed, pkt{from: "client", to: "front", flags: ack, seq: 1, ack: 1}, nil),
		back("data of the task after the client's FIN", clientFin, fromTask(ack, 0, "more"), counts{"bytes out": 4}),
		there("RST", established, fromClient(rst|ack, 0, ""), counts{"established": -1}),
		back("RST of the task", established, fromTask(rst|ack, 0, ""), counts{"established": -1}),
		there("RST of another number", established, fromClient(rst|ack, 5000, ""), nil),
		back("RST of the task of another number", established, fromTask(rst|ack, -5000, ""), nil),
		back("RST after both FINs", closed, fromTask(rst, 1, ""), nil),
		{name: "SYN of a new connection over a closed one", start: closed, only: 4, in: fromClient(syn, 9, ""),
			prepare: func(t *testing.T, s *scene) { // the next port will be claimed
				back := s.ends["back"]
				s.ends["back"] = netip.AddrPortFrom(back.Addr(), back.Port()+1)
			},
			out: pkt{from: "back", to: "task", flags: syn, seq: 9}, counts: counts{"connections": 1, "half-open": 1}},

		// Not ours.
		passes("ACK without a flow", nothing, fromClient(ack, 0, ""), "no_flow", nil),
		passes("SYN-ACK without a flow", nothing, fromClient(syn|ack, 0, ""), "no_flow", nil),
		passes("RST without a flow", nothing, fromClient(rst, 0, ""), "no_flow", nil),
		passes("SYN with RST", nothing, fromClient(syn|rst, 0, ""), "no_flow", nil),
		passes("SYN with FIN", nothing, fromClient(syn|fin, 0, ""), "no_flow", nil),
		passes("SYN in transit to another host", nothing, pkt{from: "client", to: "other", flags: syn}, "", nil),
		passes("answer to a port that nobody has claimed", nothing, fromTask(ack, 0, ""), "", nil),
		passes("answer of another server to a claimed port", established, pkt{from: "other", to: "back", flags: ack}, "", nil),
		passes("to a port that is no service's", nothing, synIn, "", func(f []byte) []byte {
			binary.BigEndian.PutUint16(f[tcpOff(f)+2:], 60000)
			return f
		}),
		passes("of contradicting lengths to a port that is no service's", nothing, synIn, "", func(f []byte) []byte {
			binary.BigEndian.PutUint16(f[tcpOff(f)+2:], 60000)
			f[map[int]int{34: 17, 54: 19}[tcpOff(f)]] += 10
			return f
		}),
		passes("for another MAC", established, data, "", func(f []byte) []byte { f[0], f[5] = 2, 9; return f }),
		passes("for a MAC that differs in the middle", established, data, "", func(f []byte) []byte { f[3] = 9; return f }),
		passes("for a MAC that differs at its end", established, data, "", func(f []byte) []byte { f[5] = 9; return f }),
		only(4, passes("UDP", established, data, "", func(f []byte) []byte { f[23] = unix.IPPROTO_UDP; return f })),
		only(6, passes("UDP", established, data, "", func(f []byte) []byte { f[20] = unix.IPPROTO_UDP; return f })),
		passes("of another protocol than Ethernet says", established, data, "", func(f []byte) []byte { f[14] = 0x50 | f[14]&0xf; return f }),
		passes("ARP", established, data, "", func(f []byte) []byte { f[12], f[13] = 8, 6; return f }),
		only(4, passes("frame that ends in the TCP header", established, data, "", func(f []byte) []byte { return f[:14+20+19] })),
		only(6, passes("frame that ends in the TCP header", established, data, "", func(f []byte) []byte { return f[:14+40+19] })),

		// Strange.
		only(4, passes("first fragment", established, data, "fragment", func(f []byte) []byte { f[20] |= 0x20; return f })),
		only(4, passes("later fragment", established, data, "fragment", func(f []byte) []byte { f[21] = 9; return f })),
		only(4, passes("IP options", established, data, "ip_options", func(f []byte) []byte { f[14] = 0x46; return f })),
		only(4, passes("IP header of impossible length", established, data, "ip_options", func(f []byte) []byte { f[14] = 0x42; return f })),
		only(6, passes("fragment", established, data, "fragment", header(unix.IPPROTO_FRAGMENT, 0, 0, 0, 1, 0, 0, 0, 7))),
		only(6, passes("hop-by-hop options", established, data, "ip_options", header(unix.IPPROTO_HOPOPTS, 0, 0, 1, 4, 0, 0, 0, 0))),
		only(6, passes("routing header", established, data, "ip_options", header(unix.IPPROTO_ROUTING, 0, 0, 0, 0, 0, 0, 0, 0))),
		only(6, passes("destination options of 16 bytes", established, data, "ip_options", header(unix.IPPROTO_DSTOPTS, 0, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0))),
		only(6, passes("extension headers without TCP", established, data, "", func(f []byte) []byte {
			f = header(unix.IPPROTO_HOPOPTS, 0, 0, 1, 4, 0, 0, 0, 0)(f)
			f[54] = unix.IPPROTO_UDP
			return f
		})),
		only(6, passes("fragment of a packet with options", established, data, "ip_options", func(f []byte) []byte {
			f = header(unix.IPPROTO_DSTOPTS, 0, 0, 1, 4, 0, 0, 0, 0)(f)
			return header(unix.IPPROTO_FRAGMENT, 0, 9, 0, 0, 0, 0, 0, 7)(f) // the reserved byte is no length
		})),
		only(6, passes("as many extension headers as are looked through", established, data, "ip_options", options(4))),
		only(6, passes("more extension headers", established, data, "", options(5))),
		only(6, passes("extension header that leads out of the frame", established, data, "", func(f []byte) []byte {
			f = options(1)(f)
			f[54], f[55] = unix.IPPROTO_DSTOPTS, 255
			return f
		})),
		only(6, passes("hop-by-hop options and no length, of no joined packet", established, data, "ip_options", func(f []byte) []byte {
			f = header(unix.IPPROTO_HOPOPTS, 0, 0, 1, 4, 0, 0, 0, 0)(f)
			f[18], f[19] = 0, 0
			return f
		})),
		only(6, passes("to a mapped address", nothing, synIn, "", func(f []byte) []byte {
			copy(f[38:], make([]byte, 10))
			f[48], f[49] = 0xff, 0xff
			return f
		})),
		only(6, passes("mapped address on the wire", nothing, synIn, "", func(f []byte) []byte {
			copy(f[22:], make([]byte, 10))
			f[32], f[33] = 0xff, 0xff
			return f
		})),
		passes("TCP header of impossible length", established, data, "bad_length", func(f []byte) []byte { f[tcpOff(f)+12] = 4 << 4; return f }),
		passes("TCP header longer than the packet", established, data, "bad_length", func(f []byte) []byte { f[tcpOff(f)+12] = 15 << 4; return f }),
		only(4, passes("IP length beyond the frame", established, data, "bad_length", func(f []byte) []byte { f[16] = 5; return f })),
		only(6, passes("IP length beyond the frame", established, data, "bad_length", func(f []byte) []byte { f[18] = 5; return f })),
		only(4, passes("IP length of nothing", established, data, "bad_length", func(f []byte) []byte { f[16], f[17] = 0, 0; return f })),
		{name: "frame with padding", only: 4, start: established, in: data, out: dataOut, counts: counts{"bytes in": 3},
			frame: func(f []byte) []byte { return append(f, 0, 0, 0) }},
		passes("SYN with a TTL of 1", nothing, pkt{from: "client", to: "front", flags: syn, ttl: 1}, "ttl_syn", nil),
		drops("TTL of 1", established, pkt{from: "client", to: "front", flags: ack, ttl: 1}, "ttl"),
		drops("TTL of 1 from the task", established, pkt{from: "task", to: "back", flags: ack, ttl: 1}, "ttl"),

		{name: "late data of an abandoned server", start: established, prepare: abandon, in: answer, verdict: verdictDrop, counts: counts{"tombstone": 1}},

		// Limits and state of the agent.
		wish(passes("SYN while others wait", nothing, synIn, "queued", nil), each(func(s *Service) { s.Queued = true })),
		wish(there("data while others wait", established, fromClient(ack, 0, ""), nil), each(func(s *Service) { s.Queued = true })),
		wish(passes("SYN without servers", nothing, synIn, "no_server", nil), each(func(s *Service) { s.Schedule = nil })),
		wish(there("data of a flow whose server has left", established, fromClient(ack, 0, ""), nil), each(func(s *Service) { s.Schedule = nil })),
		wish(there("data of a flow whose service has left", established, fromClient(ack, 0, ""), nil), func(d *Desired) { d.Services = nil }),
		wish(passes("SYN to a service that has left", nothing, synIn, "", nil), func(d *Desired) { d.Services = nil }),
		{name: "SYN without a sign of life", in: synIn, verdict: verdictNext, counts: counts{"stale": 1},
			prepare: func(_ *testing.T, s *scene) { s.k.obj.settings.Heartbeat = 1 }},
		{name: "data without a sign of life", start: established, in: data, out: dataOut, counts: counts{"bytes in": 3},
			prepare: func(_ *testing.T, s *scene) { s.k.obj.settings.Heartbeat = 1 }},
	})
}
