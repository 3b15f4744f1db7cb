package resolver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// nameserverOn runs a real nameserver on the loopback, on UDP and on TCP of the same port.
func nameserverOn(t *testing.T, handle dns.HandlerFunc) netip.AddrPort {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp4", "127.0.0.1:0") // of TCP many ports may be taken, by connections that have ended
		if err != nil {
			t.Fatal(err)
		}
		udp, err := net.ListenPacket("udp4", tcp.Addr().String())
		if err != nil { // another socket has that port
			tcp.Close()
			continue
		}
		for _, s := range []*dns.Server{{PacketConn: udp, Handler: handle}, {Listener: tcp, Handler: handle}} {
			started, done := make(chan struct{}), make(chan struct{})
			s.NotifyStartedFunc = func() { close(started) }
			go func() { s.ActivateAndServe(); close(done) }()
			<-started // Shutdown does nothing to a server that is about to start
			t.Cleanup(func() { s.Shutdown(); <-done })
		}
		return udp.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	t.Fatal("no port that is free on UDP and TCP")
	return netip.AddrPort{}
}

// closedPort is an address that refuses datagrams. Its port is taken, so that nobody else can listen there meanwhile: by a
// socket that is connected, to which datagrams of others do not belong.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	c, err := net.Dial("udp4", "127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

// patience is for how long a test waits for what comes within milliseconds on a machine that does not stall.
const patience = time.Minute

// asker is a lookup of "web" at real nameservers, without a run loop.
func asker(t *testing.T, servers ...config.Nameserver) *lookup {
	t.Helper()
	r := New(&config.Resolvers{Name: "docker", Nameservers: servers, Retries: 2, TimeoutRetry: patience}, Options{})
	b := pool.New(1).AddBackend(pool.BackendOptions{Name: "be"})
	r.Add(b.AddGroup("web", nil), Want{})
	return r.lookups[0]
}

func at(addr netip.AddrPort) config.Nameserver { return config.Nameserver{Name: "dns1", Addr: addr} }

// withTasks answers with n addresses, as Docker does: shuffled is not needed, truncated when too long.
func withTasks(q *dns.Msg, n int) *dns.Msg {
	reply := new(dns.Msg).SetReply(q)
	for i := range n {
		reply.Answer = append(reply.Answer, &dns.A{
			Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 600},
			A:   net.IPv4(10, 0, byte(i>>8), byte(i)),
		})
	}
	return reply
}

func overUDP(w dns.ResponseWriter) bool { return w.RemoteAddr().Network() == "udp" }

func TestTruncatedAnswerIsAskedOverTCP(t *testing.T) {
	var size atomic.Int64
	l := asker(t, at(nameserverOn(t, func(w dns.ResponseWriter, q *dns.Msg) {
		reply := withTasks(q, 1000)
		if overUDP(w) {
			size.Store(int64(q.IsEdns0().UDPSize()))
			reply.Truncate(int(q.IsEdns0().UDPSize()))
		}
		w.WriteMsg(reply)
	})))
	o := l.cycle(t.Context())
	if o.status != statusValid || len(o.addrs) != 1000 {
		t.Fatalf("%v with %d addresses, want 1000", o.status, len(o.addrs))
	}
	if size.Load() < 4096 {
		t.Errorf("announced %d bytes, want 4096 at least", size.Load())
	}
	c := l.r.Counters()[0]
	if c.Sent != 2 || c.Truncated != 1 || c.Valid != 1 || l.r.Totals().TCP != 1 {
		t.Errorf("counters: %+v, %+v", c, l.r.Totals())
	}
}

func TestTruncatedOverTCPTooIsAnError(t *testing.T) {
	l := asker(t, at(nameserverOn(t, func(w dns.ResponseWriter, q *dns.Msg) {
		reply := withTasks(q, 3)
		reply.Truncated = true
		w.WriteMsg(reply)
	})))
	if o := l.cycle(t.Context()); o.status != statusOther || len(o.addrs) > 0 {
		t.Errorf("got %+v, want an error and nothing of the incomplete set", o)
	}
}

func TestPayloadSizeAnnounced(t *testing.T) {
	for configured, want := range map[int]uint16{0: 4096, 512: 4096, 8192: 8192, 1 << 20: 65535} {
		r := New(&config.Resolvers{PayloadSize: configured}, Options{})
		if got := r.question("web.", dns.TypeA, true).IsEdns0().UDPSize(); got != want {
			t.Errorf("accepted_payload_size %d: announced %d, want %d", configured, got, want)
		}
	}
}

func TestForgedDatagramsAreIgnored(t *testing.T) {
	l := asker(t, at(nameserverOn(t, func(w dns.ResponseWriter, q *dns.Msg) {
		forged := withTasks(q, 5)
		forged.Id++
		w.WriteMsg(forged)
		other := withTasks(new(dns.Msg).SetQuestion("api.", dns.TypeA), 5)
		other.Id = q.Id
		w.WriteMsg(other)
		w.Write([]byte{byte(q.Id >> 8), byte(q.Id), 0xff}) // no DNS message
		big := make([]byte, minPayload+1)
		big[0], big[1] = byte(q.Id>>8), byte(q.Id)
		w.Write(big)
		w.WriteMsg(withTasks(q, 2))
	})))
	o := l.cycle(t.Context())
	if fmt.Sprint(o.addrs) != "[10.0.0.0 10.0.0.1]" {
		t.Errorf("addresses %v", o.addrs)
	}
	if c := l.r.Counters()[0]; c.Outdated != 1 || c.Invalid != 2 || c.TooBig != 1 || c.Valid != 1 || c.Sent != 1 {
		t.Errorf("counters: %+v", c)
	}
}

func TestFloodOfForgedDatagramsEnds(t *testing.T) {
	l := asker(t, at(nameserverOn(t, func(w dns.ResponseWriter, q *dns.Msg) {
		forged := withTasks(q, 1)
		forged.Id++
		for range maxStrays {
			w.WriteMsg(forged)
		}
		w.WriteMsg(withTasks(q, 2))
	})))
	o, _ := l.try(t.Context(), time.Now().Add(patience))
	if o.status != statusOther {
		t.Errorf("got %v, want the query given up", o.status)
	}
	if c := l.r.Counters()[0]; c.Outdated != maxStrays || c.Invalid != 1 {
		t.Errorf("counters: %+v", c)
	}
}

func TestServerWithoutEDNS(t *testing.T) {
	l := asker(t, at(nameserverOn(t, func(w dns.ResponseWriter, q *dns.Msg) {
		if q.IsEdns0() != nil {
			w.WriteMsg(new(dns.Msg).SetRcode(q, dns.RcodeFormatError))
			return
		}
		w.WriteMsg(withTasks(q, 2))
	})))
	if o := l.cycle(t.Context()); len(o.addrs) != 2 {
		t.Errorf("got %+v", o)
	}
	if got := l.r.Totals().PlainDNS; got != 1 {
		t.Errorf("%d queries without EDNS0, want 1", got)
	}
}

func TestNameserverOverTCPOnly(t *testing.T) {
	addr := nameserverOn(t, func(w dns.ResponseWriter, q *dns.Msg) {
		if overUDP(w) {
			t.Error("asked over UDP")
		}
		w.WriteMsg(withTasks(q, 2))
	})
	l := asker(t, config.Nameserver{Name: "dns1", Addr: addr, TCP: true})
	if o := l.cycle(t.Context()); len(o.addrs) != 2 {
		t.Errorf("got %+v", o)
	}
}

// TestSeveralNameservers: one where nobody listens, one that is silent, one that answers.
func TestSeveralNameservers(t *testing.T) {
	quiet := nameserverOn(t, func(dns.ResponseWriter, *dns.Msg) {})
	good := nameserverOn(t, func(w dns.ResponseWriter, q *dns.Msg) { w.WriteMsg(withTasks(q, 3)) })
	l := asker(t, at(closedPort(t)), at(quiet), config.Nameserver{Name: "dns3", Addr: good})
	o := l.cycle(t.Context())
	if len(o.addrs) != 3 || o.by.path != "docker/dns3" {
		t.Errorf("got %+v", o)
	}
	c := l.r.Counters()
	if c[0].Sent != 1 || c[1].Sent != 1 || c[1].Timeout+c[1].SendErrors != 0 || c[2].Valid != 1 {
		t.Errorf("counters: %+v", c)
	}
}

func TestSilenceAndClosedPortTimeOut(t *testing.T) {
	quiet := nameserverOn(t, func(dns.ResponseWriter, *dns.Msg) {})
	l := asker(t, at(quiet), at(closedPort(t)))
	l.r.section.TimeoutRetry = 300 * time.Millisecond
	if o := l.cycle(t.Context()); o.status != statusTimeout || o.by != nil {
		t.Errorf("got %+v, want timeout", o)
	}
	// A machine that stalls for a whole try has not asked the closed port in it.
	c := l.r.Counters()
	if c[0].Timeout != 2 || c[1].SendErrors+c[1].Timeout != 2 {
		t.Errorf("counters: %+v, want 2 tries each", c)
	}
}

func TestClosedPortIsToldFromSilence(t *testing.T) {
	l := asker(t, at(closedPort(t)))
	if o, _ := l.try(t.Context(), time.Now().Add(patience)); o.status != statusTimeout || o.by != nil {
		t.Errorf("got %+v, want timeout", o)
	}
	if c := l.r.Counters()[0]; c.Sent != 1 || c.SendErrors != 1 || c.Timeout != 0 {
		t.Errorf("counters: %+v, want one error", c)
	}
}

func TestStopEndsAQueryAtOnce(t *testing.T) {
	quiet := nameserverOn(t, func(dns.ResponseWriter, *dns.Msg) {})
	for _, tcp := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		q := new(dns.Msg).SetQuestion("web.", dns.TypeA)
		_, err := network(ctx, Query{Server: quiet, TCP: tcp, Msg: q, Size: minPayload, Stray: func(Stray) {}})
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("tcp %v: got %v", tcp, err)
		}
	}
}

func TestSourcePortsAndIDsDiffer(t *testing.T) {
	var mu sync.Mutex
	ports, ids := make(map[string]bool), make(map[uint16]bool)
	l := asker(t, at(nameserverOn(t, func(w dns.ResponseWriter, q *dns.Msg) {
		mu.Lock()
		ports[w.RemoteAddr().String()] = true
		ids[q.Id] = true
		mu.Unlock()
		w.WriteMsg(withTasks(q, 1))
	})))
	const queries = 32
	for range queries {
		l.cycle(t.Context())
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ports) < queries*3/4 || len(ids) < queries*3/4 {
		t.Errorf("%d queries came from %d ports with %d ids", queries, len(ports), len(ids))
	}
}

func TestResolvConf(t *testing.T) {
	read := func(string) ([]byte, error) {
		return []byte("search x\nnameserver 127.0.0.11\nnameserver fd00::53\nnameserver 10.0.0.53\noptions ndots:0\n"), nil
	}
	r := New(&config.Resolvers{
		ParseResolvConf: true, Nameservers: []config.Nameserver{{Name: "dns1", Addr: netip.MustParseAddrPort("127.0.0.11:53")}},
	}, Options{ReadFile: read})
	var got []string
	for _, ns := range r.nameservers {
		got = append(got, ns.name+" "+ns.addr.String())
	}
	if want := "[dns1 127.0.0.11:53 fd00::53 [fd00::53]:53 10.0.0.53 10.0.0.53:53]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
	failing := func(string) ([]byte, error) { return nil, errors.New("no such file") }
	if r := New(&config.Resolvers{ParseResolvConf: true}, Options{ReadFile: failing}); len(r.nameservers) != 0 {
		t.Errorf("nameservers from an unreadable file: %v", r.nameservers)
	}
}

func TestLibC(t *testing.T) {
	got, err := LibC(t.Context(), "127.0.0.9")
	if err != nil || fmt.Sprint(got) != "[127.0.0.9]" {
		t.Errorf("a literal: %v, %v", got, err)
	}
	if _, err := LibC(t.Context(), "waggle.invalid."); err == nil {
		t.Error("a name that cannot exist resolved (RFC 6761, section 6.4)")
	}
}
