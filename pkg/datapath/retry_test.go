package datapath

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/require"
)

// retrying is oneService whose servers have a second to answer.
func retrying(n int, retries uint32, redispatch bool) Desired {
	d := oneService(n)
	s := &d.Services[0]
	s.Retries, s.Timeouts.Connect = retries, time.Second
	if redispatch {
		s.Redispatch = 1
	}
	return d
}

// again sends the client's SYN once more and learns where it goes now.
func (c *conn) again(t testing.TB) {
	t.Helper()
	verdict, out := c.k.send(t, packet{src: c.client, dst: c.front, flags: syn, seq: c.clientSeq - 1})
	if verdict != verdictRedirect {
		t.Fatalf("SYN again: verdict %d, want %d (redirect); reasons %v", verdict, verdictRedirect, c.k.reasons(t))
	}
	got := decode(t, out)
	c.back, c.task = got.src, got.dst
}

// refuse has the task answer with a RST, and demands that the client hears of it or not.
func (c *conn) refuse(t testing.TB, heard bool) {
	t.Helper()
	p := packet{src: c.task, dst: c.back, flags: rst | ack, ack: c.clientSeq}
	if heard {
		want := p
		want.src, want.dst, want.ttl = c.front, c.client, 63
		c.k.expect(t, p, want)
		return
	}
	before := c.k.reasons(t)["refused"]
	if verdict, _ := c.k.send(t, p); verdict != verdictDrop || c.k.reasons(t)["refused"] != before+1 {
		t.Fatalf("refusal: verdict %d, reasons %v", verdict, c.k.reasons(t))
	}
}

// late makes it as if the attempt had begun two seconds ago.
func (c *conn) late(t testing.TB) {
	t.Helper()
	c.k.edit(t, keyOf(c.task, c.back), func(f *lbWgFlow) { f.Created -= uint64(2 * time.Second) })
}

type way struct{ back, task netip.AddrPort }

func (c *conn) way() way { return way{c.back, c.task} }

// Without option redispatch a SYN that comes again goes to the same server from the same port, whatever has happened.
func TestRetransmissionKeepsItsServer(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, retrying(3, 3, false))
	c := k.open(t, client(0))
	first := c.way()
	c.again(t)
	c.late(t)
	c.again(t)
	c.again(t) // the time of the second attempt has just begun
	if n := k.snapshot(t).Total.Retries; n != 1 {
		t.Errorf("%d retries, want 1", n)
	}
	c.refuse(t, false)
	c.again(t)
	if c.way() != first {
		t.Errorf("%v became %v", first, c.way())
	}
	c.fromTask(t, syn|ack, "")
	c.fromClient(t, ack, "")
	if s := k.snapshot(t); s.Total.Sessions != 1 || s.Total.Retries != 2 || s.Total.Redispatches != 0 || s.Total.Connections != 1 {
		t.Errorf("%+v", s.Total)
	}
}

// A server that has left the configuration, or has another address, loses the connections that it has not taken, also without option
// redispatch: as soon as it has refused them or has not answered in time, and not before.
func TestRetryLeavesAServerThatIsGone(t *testing.T) {
	addr := func(i int) netip.AddrPort {
		return netip.MustParseAddrPort(net.JoinHostPort(taskAddr(i), fmt.Sprint(taskPort)))
	}
	gone := func(s *Service) { s.Servers, s.Schedule = s.Servers[1:], s.Schedule[1:] }
	refused := func(c *conn) { c.refuse(t, false) }
	for name, c := range map[string]struct {
		change func(*Service)
		fail   func(*conn)
		want   netip.AddrPort // where its connections go then
		moves  uint64
	}{
		"gone":             {gone, refused, addr(1), 1},
		"gone and silent":  {gone, func(c *conn) { c.late(t) }, addr(1), 1},
		"at a new address": {func(s *Service) { s.Servers, s.Schedule = s.Servers[:1], s.Schedule[:1]; s.Servers[0].Addr = addr(2) }, refused, addr(2), 1},
	} {
		k := newKernel(t, Options{})
		d := retrying(2, 3, false)
		k.sync(t, d)
		conn := k.open(t, client(0))
		if conn.task != addr(0) {
			conn = k.open(t, client(1))
		}
		first := conn.way()
		c.change(&d.Services[0])
		k.sync(t, d)
		if conn.again(t); conn.way() != first {
			t.Errorf("%s: %v became %v before it had failed", name, first, conn.way())
		}
		c.fail(conn)
		if conn.again(t); conn.task != c.want {
			t.Errorf("%s: is at %v, want %v", name, conn.task, c.want)
		}
		// It is the same connection, which begins no new one elsewhere: it has used up one of its attempts.
		if _, entries := conn.entriesOf(t); entries[0].Retries != 2 {
			t.Errorf("%s: %d retries are left of 3", name, entries[0].Retries)
		}
		conn.fromTask(t, syn|ack, "")
		if conn.fromClient(t, ack, ""); conn.state(t) != FlowEstablished {
			t.Errorf("%s: the flow is %s", name, conn.state(t))
		}
		if s := k.snapshot(t).Total; s.Redispatches != c.moves || s.Retries != 1-c.moves {
			t.Errorf("%s: %+v", name, s)
		}
		if g := k.gaugeOf(t, 101); c.want == addr(1) && g.Taken != 0 {
			t.Errorf("%s: the server has %d places taken", name, g.Taken)
		}
	}
}

// When the server of a connection that it has not taken has left and no other one can take it, the client's next SYN is userspace's, as
// any other one would be, and nothing of the flow is left that could come in its way.
func TestRetryLeavesToUserspaceWhatNoServerTakes(t *testing.T) {
	for name, c := range map[string]struct {
		silent, full bool
		reason       string
	}{
		"refused, no server":       {false, false, "no_server"},
		"silent, no server":        {true, false, "no_server"},
		"refused, the others full": {false, true, "servers_full"},
		"silent, the others full":  {true, true, "servers_full"},
	} {
		k := newKernel(t, Options{})
		d := retrying(1, 3, false)
		k.sync(t, d)
		conn := k.open(t, client(0))
		if c.full {
			d = retrying(2, 3, false)
			s := &d.Services[0]
			s.Servers, s.Schedule = s.Servers[1:], s.Schedule[1:]
			s.Servers[0].Limit = 1
			k.sync(t, d)
			k.establish(t, client(1))
		} else {
			d.Services[0].Servers, d.Services[0].Schedule = nil, nil
			k.sync(t, d)
		}
		before := k.gauge(0)
		if conn.again(t); c.silent {
			conn.late(t)
		} else {
			conn.refuse(t, false)
		}
		for range 2 {
			want := k.reasons(t)[c.reason] + 1
			if verdict, _ := k.send(t, packet{src: conn.client, dst: conn.front, flags: syn, seq: conn.clientSeq - 1}); verdict != verdictNext || k.reasons(t)[c.reason] != want {
				t.Errorf("%s: verdict %d, reasons %v", name, verdict, k.reasons(t))
			}
		}
		tombs := map[bool]uint64{true: 1}[c.silent]
		if g := k.gaugeOf(t, 101); g.Taken != 0 || g.Open != 0 || g.Entries != tombs {
			t.Errorf("%s: the server has %+v", name, g)
		}
		if g := k.gauge(0); g.Taken != before.Taken-1 || g.Open != before.Open-1 || g.Entries != before.Entries-1 || conn.state(t) != "none" {
			t.Errorf("%s: %+v of %+v, the flow is %s", name, g, before, conn.state(t))
		}
		if verdict, _ := k.send(t, packet{src: conn.task, dst: conn.back, flags: syn | ack, seq: 9, ack: conn.clientSeq}); (verdict == verdictDrop) != c.silent {
			t.Errorf("%s: verdict %d about the old server's late answer", name, verdict)
		}
		if s := k.snapshot(t).Servers[101]; s.Redispatches != 1 || s.Retries != 0 || s.Failures != 0 {
			t.Errorf("%s: %+v", name, s)
		}
		// A server that comes meanwhile has it.
		k.sync(t, retrying(3, 3, false))
		conn.again(t)
		conn.fromTask(t, syn|ack, "")
		if conn.fromClient(t, ack, ""); conn.state(t) != FlowEstablished {
			t.Errorf("%s: the flow is %s", name, conn.state(t))
		}
	}
}

// The same with real TCP: a client whose only server refuses it and then leaves is served by the socket.
func TestRetryReachesTheSocket(t *testing.T) {
	require.Root(t)
	top := newTopology(t, 1)
	dp := openIn(t, top.lb, Options{})
	d := retrying(1, 3, false)
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	serve(top.lb.listen(t, fmt.Sprintf(":%d", frontPort)), func(c net.Conn) { fmt.Fprint(c, "socket") })
	said := make(chan string, 1)
	go func() {
		text, _ := top.client.ask(t, front())
		said <- text
	}()
	waitFor(t, "the refusal", func() bool { return dp.Counters().Reasons["refused"] == 1 })
	d.Services = slices.Clone(d.Services)
	d.Services[0].Servers, d.Services[0].Schedule = nil, nil
	if err := dp.Sync(d); err != nil {
		t.Fatal(err)
	}
	if text := <-said; text != "sock" {
		t.Errorf("the client is told %q", text)
	}
	if s := dp.Counters(); s.Total.Entries != 0 || s.Reasons["no_server"] == 0 {
		t.Errorf("%+v, reasons %v", s.Total, s.Reasons)
	}
}

// A refusal is kept from the client while retries remain, and no longer.
func TestRefusalIsHeardWhenRetriesAreUsedUp(t *testing.T) {
	for _, redispatch := range []bool{false, true} {
		k := newKernel(t, Options{})
		k.sync(t, retrying(3, 2, redispatch))
		c := k.open(t, client(0))
		servers := map[netip.AddrPort]bool{c.task: true}
		for range 2 {
			c.refuse(t, false)
			c.again(t)
			servers[c.task] = true
		}
		c.refuse(t, true)
		if want := map[bool]int{false: 1}[redispatch]; want != 0 && len(servers) != want || redispatch && len(servers) < 2 {
			t.Errorf("redispatch %t: servers %v", redispatch, servers)
		}
		if s := k.snapshot(t).Total; s.HalfOpen != 0 || s.Entries != 1 {
			t.Errorf("redispatch %t: %+v", redispatch, s)
		}
		for id, s := range k.snapshot(t).Servers {
			if s.HalfOpen != 0 || k.gaugeOf(t, id).Taken != 0 {
				t.Errorf("redispatch %t: server %d: %+v, %d taken", redispatch, id, s, k.gaugeOf(t, id).Taken)
			}
		}
	}
}

func TestRefusalWithoutRetriesIsHeardAtOnce(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, retrying(2, 0, true))
	k.open(t, client(0)).refuse(t, true)
}

// A server that has answered and then ends the connection has not refused it: the client hears of it, whatever retries remain.
func TestResetAfterTheAnswerIsNoRefusal(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, retrying(2, 3, true))
	c := k.open(t, client(0))
	c.fromTask(t, syn|ack, "")
	c.fromTask(t, rst|ack, "")
	if n := k.reasons(t)["refused"]; c.state(t) != FlowClosed || n != 0 {
		t.Errorf("the flow is %s, %d refusals", c.state(t), n)
	}
}

// A forged refusal moves nothing.
func TestForgedRefusalIsNoRefusal(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, retrying(2, 3, true))
	c := k.open(t, client(0))
	first := c.way()
	k.send(t, packet{src: c.task, dst: c.back, flags: rst | ack, ack: c.clientSeq + 77})
	c.again(t)
	if c.way() != first || k.reasons(t)["refused"] != 0 {
		t.Errorf("%v became %v", first, c.way())
	}
}

// unreachable has the network say that the task cannot be reached, about the SYN that was sent to it.
func (c *conn) unreachable(t *testing.T) (verdict int) {
	t.Helper()
	syn := packet{src: c.back, dst: c.task, flags: syn, seq: c.clientSeq - 1}.frame(t)[14:]
	in := pkt{icmp: &icmpError{kind: 3, code: 1}}
	verdict, _ = c.k.sendFrame(t, icmpFrame(t, c.task.Addr(), c.back.Addr(), in, syn[:28], ask))
	return verdict
}

// An error message about the SYN is a refusal: while retries remain the client does not hear of it, and its next SYN goes to
// another server with option redispatch, else to the same. The last one ends the flow, and the client may begin anew.
func TestUnreachableServersAreRetried(t *testing.T) {
	for _, redispatch := range []bool{false, true} {
		k := newKernel(t, Options{})
		k.sync(t, retrying(2, 1, redispatch))
		c := k.open(t, client(0))
		first := c.way()
		if v := c.unreachable(t); v != verdictDrop {
			t.Errorf("redispatch %t: verdict %d about the first attempt", redispatch, v)
		}
		c.again(t)
		if moved := c.task != first.task; moved != redispatch {
			t.Errorf("redispatch %t: %v became %v", redispatch, first, c.way())
		}
		if s := k.snapshot(t).Total; s.Retries+s.Redispatches != 1 || s.HalfOpen != 1 {
			t.Errorf("redispatch %t: %+v", redispatch, s)
		}
		if v := c.unreachable(t); v != verdictRedirect {
			t.Errorf("redispatch %t: verdict %d about the last attempt", redispatch, v)
		}
		s := k.snapshot(t).Total
		if s.Failures != 1 || s.HalfOpen != 0 {
			t.Errorf("redispatch %t: %+v", redispatch, s)
		}
		for id := uint32(101); id <= 102; id++ {
			if g := k.gaugeOf(t, id); g.Taken != 0 {
				t.Errorf("redispatch %t: server %d has %d places taken", redispatch, id, g.Taken)
			}
		}
		c = k.open(t, client(0))
		c.fromTask(t, syn|ack, "")
		c.fromClient(t, ack, "")
	}
}

// With real TCP: the firewall of one of two tasks rejects connections by ICMP. Each client is served by the other one.
func TestUnreachableServersAreRetriedEndToEnd(t *testing.T) {
	require.Root(t)
	nft := require.Tool(t, "nft")
	for _, front := range []struct{ addr, kind string }{{front(), "icmp host-prohibited"}, {net.JoinHostPort(frontAddr6, fmt.Sprint(frontPort)), "icmpv6 admin-prohibited"}} {
		top := newTopology(t, 2)
		top.tasks[0].nft(t, nft, "table inet filter {\n chain input { type filter hook input priority 0; tcp dport 9000 reject with "+front.kind+"; }\n}", "-f", "-")
		dp := openIn(t, top.lb, Options{})
		d := retrying(2, 3, true)
		if strings.Contains(front.kind, "v6") {
			d = sixService(2)
			s := &d.Services[0]
			s.Retries, s.Redispatch, s.Timeouts.Connect = 3, 1, time.Second
		}
		if err := dp.Sync(d); err != nil {
			t.Fatal(err)
		}
		greetAndEcho(top.tasks[1].listen(t, fmt.Sprintf(":%d", taskPort)), 1)
		for range 2 {
			conn, err := top.client.dial(front.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "task1\n" {
				t.Errorf("%q, %v", line, err)
			}
		}
		if s := dp.Counters(); s.Total.Sessions != 2 || s.Total.Redispatches == 0 || s.Reasons["refused"] == 0 {
			t.Errorf("%+v, reasons %v", s.Total, s.Reasons)
		}
	}
}
