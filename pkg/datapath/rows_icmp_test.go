package datapath

import "testing"

// ICMP types and codes by family.
func TestICMPRows(t *testing.T) {
	fromTask := pkt{from: "front", to: "client", flags: ack, payload: "a segment that was too large", ttl: 60}
	asTask := pkt{from: "task", to: "back", flags: ack, payload: fromTask.payload, ttl: 60}
	fromClient := pkt{from: "back", to: "task", flags: ack, payload: "an odd one", ttl: 61}
	asClient := pkt{from: "client", to: "front", flags: ack, payload: fromClient.payload, ttl: 61}
	// row about a packet that went to the client, and what the task is told.
	toTask := func(name string, only int, kind, code uint8, rest uint32, quoted int) row {
		return row{name: name, only: only, start: established,
			in:  pkt{from: "router", to: "front", icmp: &icmpError{kind, code, rest, fromTask, quoted}},
			out: pkt{from: "back", to: "task", icmp: &icmpError{kind, code, rest, asTask, quoted}}}
	}
	toClient := func(name string, only int, kind, code uint8, rest uint32, quoted int) row {
		return row{name: name, only: only, start: established,
			in:  pkt{from: "router", to: "back", icmp: &icmpError{kind, code, rest, fromClient, quoted}},
			out: pkt{from: "front", to: "client", icmp: &icmpError{kind, code, rest, asClient, quoted}}}
	}
	ignored := func(name string, only int, in pkt) row {
		return row{name: name, only: only, start: established, in: in, verdict: verdictNext}
	}
	const whole = 1500
	expiring := toTask("error with a TTL of 1", 4, 3, 4, 1280, whole)
	expiring.in.ttl, expiring.verdict, expiring.counts = 1, verdictDrop, counts{"ttl": 1}
	byMAC := toTask("to a known MAC", 0, 3, 0, 1280, whole)
	byMAC.known, byMAC.toMAC = map[string][6]byte{"task": taskMAC}, taskMAC
	tooSmall := toTask("path MTU that no sender should believe", 4, 3, 4, 551, whole)
	tooSmall.verdict, tooSmall.counts = verdictDrop, counts{"small_mtu": 1}
	alsoTooSmall := toClient("no path MTU at all", 4, 3, 4, 0, 8)
	alsoTooSmall.verdict, alsoTooSmall.counts = verdictDrop, counts{"small_mtu": 1}
	// aboutSYN is a row about a SYN to a task that has not answered, with as many retries left.
	synOfOurs := pkt{from: "back", to: "task", flags: syn, seq: -1}
	aboutSYN := func(name string, only int, kind, code uint8, rest uint32, retries uint32) row {
		r := row{name: "about a SYN: " + name, only: only, start: halfOpen, retries: retries,
			in:  pkt{from: "router", to: "back", icmp: &icmpError{kind, code, rest, synOfOurs, 8}},
			out: pkt{from: "front", to: "client", icmp: &icmpError{kind, code, rest, pkt{from: "client", to: "front", flags: syn, seq: -1}, 8}}}
		return r
	}
	swallowed := func(name string, only int, kind, code uint8) row {
		r := aboutSYN(name+", with a retry left", only, kind, code, 0, 1)
		r.verdict, r.counts = verdictDrop, counts{"refused": 1}
		return r
	}
	heard := func(name string, only int, kind, code uint8) row {
		r := aboutSYN(name+", without a retry", only, kind, code, 0, 0)
		r.counts = counts{"half-open": -1}
		return r
	}
	forged := aboutSYN("another sequence number", 0, 1, 0, 0, 1)
	forged.only, forged.in.icmp, forged.out.icmp = 6, &icmpError{1, 0, 0, fromClient, 8}, &icmpError{1, 0, 0, asClient, 8}
	forged4 := forged
	forged4.only, forged4.in.icmp, forged4.out.icmp = 4, &icmpError{3, 1, 0, fromClient, 8}, &icmpError{3, 1, 0, asClient, 8}
	late := aboutSYN("the server has answered", 4, 3, 1, 0, 1)
	late.start = answered
	toSYNACK := toTask("about a SYN-ACK", 4, 3, 1, 0, 8)
	toSYNACK.start, toSYNACK.retries = answered, 1
	toSYNACK.in.icmp = &icmpError{3, 1, 0, pkt{from: "front", to: "client", flags: syn | ack, seq: -1}, 8}
	toSYNACK.out.icmp = &icmpError{3, 1, 0, pkt{from: "task", to: "back", flags: syn | ack, seq: -1}, 8}
	abandoned := func(only int, kind, code uint8) row {
		return row{name: "about a packet to an abandoned server", only: only, start: halfOpen, retries: 1, prepare: abandon, verdict: verdictDrop, counts: counts{"tombstone": 1},
			in: pkt{from: "router", to: "back", icmp: &icmpError{kind, code, 1280, synOfOurs, 8}}}
	}
	over := toTask("about a flow that has ended", 0, 1, 0, 0, whole)
	over.start, over.only = closed, 6
	runRows(t, []row{
		toTask("fragmentation needed", 4, 3, 4, 1280, whole),
		toTask("fragmentation needed, shortest quote", 4, 3, 4, 1280, 8),
		toTask("fragmentation needed, quote that ends before the checksum", 4, 3, 4, 1280, 16),
		toTask("fragmentation needed, quote that ends behind the checksum", 4, 3, 4, 1280, 18),
		toTask("packet too big", 6, 2, 0, 1280, whole),
		toTask("packet too big, shortest quote", 6, 2, 0, 1280, 8),
		toTask("host unreachable", 4, 3, 1, 0, 8),
		toTask("TTL exceeded", 4, 11, 0, 0, 28),
		toTask("parameter problem", 4, 12, 0, 7<<24, 28),
		toTask("unreachable", 6, 1, 3, 0, whole),
		toTask("hop limit exceeded", 6, 3, 0, 0, whole),
		toTask("parameter problem", 6, 4, 1, 6, whole),
		toClient("fragmentation needed towards the task", 4, 3, 4, 1400, whole),
		toClient("fragmentation needed towards the task, shortest quote", 4, 3, 4, 1400, 8),
		toClient("packet too big towards the task", 6, 2, 0, 1400, whole),
		toClient("packet too big towards the task, shortest quote", 6, 2, 0, 1400, 8),
		toClient("port unreachable at the task", 4, 3, 3, 0, 8),
		toTask("smallest path MTU", 4, 3, 4, 552, whole),
		toClient("smallest path MTU towards the task", 4, 3, 4, 552, whole),
		tooSmall, alsoTooSmall,
		over, byMAC, expiring,
		swallowed("net unreachable", 4, 3, 0), swallowed("host unreachable", 4, 3, 1), swallowed("port unreachable", 4, 3, 3),
		swallowed("administratively prohibited", 4, 3, 13), swallowed("TTL exceeded", 4, 11, 0), swallowed("parameter problem", 4, 12, 0),
		swallowed("no route", 6, 1, 0), swallowed("port unreachable", 6, 1, 4), swallowed("hop limit exceeded", 6, 3, 0), swallowed("parameter problem", 6, 4, 1),
		heard("host unreachable", 4, 3, 1), heard("no route", 6, 1, 0),
		aboutSYN("fragmentation needed", 4, 3, 4, 1280, 1), aboutSYN("packet too big", 6, 2, 0, 1280, 1),
		forged, forged4, late, toSYNACK, abandoned(4, 3, 1), abandoned(4, 3, 4), abandoned(6, 1, 0), abandoned(6, 2, 0),
		ignored("quote too short", 0, pkt{from: "router", to: "front", icmp: &icmpError{3, 1, 0, fromTask, 7}}),
		ignored("echo request", 4, pkt{from: "router", to: "front", icmp: &icmpError{8, 0, 1, fromTask, whole}}),
		ignored("echo request", 6, pkt{from: "router", to: "front", icmp: &icmpError{128, 0, 1, fromTask, whole}}),
		ignored("reserved type", 6, pkt{from: "router", to: "front", icmp: &icmpError{0, 0, 0, fromTask, whole}}),
		ignored("neighbour solicitation", 6, pkt{from: "client", to: "front", icmp: &icmpError{135, 0, 0, fromTask, 20}}),
		ignored("redirect", 4, pkt{from: "router", to: "front", icmp: &icmpError{5, 1, 0, fromTask, 8}}),
		ignored("about a connection of a local socket", 0, pkt{from: "router", to: "front", icmp: &icmpError{3, 1, 0, pkt{from: "front", to: "other", flags: ack}, whole}}),
		ignored("about a packet that is not its receiver's", 0, pkt{from: "router", to: "other", icmp: &icmpError{3, 1, 0, fromTask, whole}}),
		{name: "fragment of an error", only: 4, start: established, verdict: verdictNext,
			in:    pkt{from: "router", to: "front", icmp: &icmpError{3, 4, 1280, fromTask, whole}},
			frame: func(f []byte) []byte { f[20] |= 0x20; return f }},
		{name: "error with IP options", only: 4, start: established, verdict: verdictNext,
			in:    pkt{from: "router", to: "front", icmp: &icmpError{3, 4, 1280, fromTask, whole}},
			frame: func(f []byte) []byte { f[14] = 0x46; return f }},
		{name: "quote of another version", start: established, verdict: verdictNext,
			in: pkt{from: "router", to: "front", icmp: &icmpError{3, 1, 0, fromTask, whole}},
			frame: func(f []byte) []byte {
				quote := map[bool]int{false: 42, true: 62}[f[12] == 0x86]
				f[quote] = 0x50 | f[quote]&0xf
				return f
			}},
		{name: "about a packet of a flow that is being deleted", start: established, verdict: verdictNext,
			in: pkt{from: "router", to: "front", icmp: &icmpError{1, 0, 0, fromTask, whole}}, only: 6,
			prepare: func(t *testing.T, s *scene) {
				s.k.edit(t, keyOf(s.ends["client"], s.ends["front"]), func(f *lbWgFlow) { f.State = lbWgStateWG_DEAD })
			}},
		{name: "quote with IP options", only: 4, start: established, verdict: verdictNext,
			in:    pkt{from: "router", to: "front", icmp: &icmpError{3, 4, 1280, fromTask, whole}},
			frame: func(f []byte) []byte { f[42] = 0x46; return f }},
		{name: "quote of a later fragment", only: 4, start: established, verdict: verdictNext,
			in:    pkt{from: "router", to: "front", icmp: &icmpError{3, 4, 1280, fromTask, whole}},
			frame: func(f []byte) []byte { f[49] = 1; return f }},
		{name: "quote of UDP", start: established, verdict: verdictNext,
			in:    pkt{from: "router", to: "front", icmp: &icmpError{3, 4, 1280, fromTask, whole}},
			frame: func(f []byte) []byte { f[map[bool]int{false: 51, true: 68}[f[12] == 0x86]] = 17; return f }},
	})
}

// abandon makes the connection's reverse entry what is left of a server that lost the connection to another one.
func abandon(t *testing.T, s *scene) {
	t.Helper()
	s.k.edit(t, keyOf(s.ends["task"], s.ends["back"]), func(f *lbWgFlow) { f.Dir = dirTombstone })
}
