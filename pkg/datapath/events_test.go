package datapath

import (
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/cilium/ebpf/ringbuf"
)

// closedLog collects what Options.OnClose is told.
type closedLog struct {
	mu     sync.Mutex
	closed []Closed
}

func (l *closedLog) add(c Closed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = append(l.closed, c)
}

func (l *closedLog) all() []Closed {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.closed)
}

// events reads all events that are in the ring.
func (k *kernel) events(t testing.TB) (all []Closed) {
	t.Helper()
	ring, err := ringbuf.NewReader(k.obj.WgEvents)
	if err != nil {
		t.Fatal(err)
	}
	defer ring.Close()
	ring.SetDeadline(time.Now())
	for {
		record, err := ring.Read()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		event := *(*lbWgEvent)(unsafe.Pointer(unsafe.SliceData(record.RawSample)))
		all = append(all, makeClosed(&event, time.Now(), monotonicNow()))
	}
}

func loggedService(n int) Desired {
	d := oneService(n)
	d.Services[0].Logged = true
	return d
}

func TestEventOfEachEnd(t *testing.T) {
	timeouts := Timeouts{Connect: 5 * time.Second, Client: 50 * time.Second, Server: 40 * time.Second}
	talk := func(t *testing.T, k *kernel) *conn {
		c := k.establish(t, client(0))
		c.fromClient(t, ack, "request")
		c.fromTask(t, ack, "and answer")
		return c
	}
	for _, tt := range []struct {
		name   string
		end    func(t *testing.T, k *kernel)
		want   End
		in     uint64
		out    uint64
		half   bool
		active int
	}{
		{"FIN both ways", func(t *testing.T, k *kernel) {
			c := talk(t, k)
			c.fromTask(t, fin|ack, "bye")
			c.fromClient(t, fin|ack, "too") // data in the last packet counts
		}, EndFIN, 10, 13, false, 1},
		{"client's RST", func(t *testing.T, k *kernel) { talk(t, k).fromClient(t, rst, "") }, EndClientReset, 7, 10, false, 1},
		{"server's RST", func(t *testing.T, k *kernel) { talk(t, k).fromTask(t, rst|ack, "") }, EndServerReset, 7, 10, false, 1},
		{"refused", func(t *testing.T, k *kernel) {
			c := k.open(t, client(0))
			c.taskSeq = 0
			c.fromTask(t, rst|ack, "")
		}, EndRefused, 0, 0, true, 0},
		{"no answer", func(t *testing.T, k *kernel) {
			k.open(t, client(0))
			k.pass(t, k.collector(timeouts), time.Minute, 1)
		}, EndConnectTimeout, 0, 0, true, 0},
		{"server's timeout", func(t *testing.T, k *kernel) {
			talk(t, k)
			k.pass(t, k.collector(timeouts), 41*time.Second, 1)
		}, EndServerTimeout, 7, 10, false, 1},
		{"killed", func(t *testing.T, k *kernel) {
			talk(t, k)
			if n, err := k.collector(timeouts).shutdown(EndKilled, func(Flow) bool { return true }); n != 1 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
		}, EndKilled, 7, 10, false, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKernel(t, Options{})
			k.sync(t, loggedService(1))
			tt.end(t, k)
			events := k.events(t)
			if len(events) != 1 {
				t.Fatalf("%d events: %+v", len(events), events)
			}
			e := events[0]
			if e.End != tt.want || e.BytesIn != tt.in || e.BytesOut != tt.out || (e.Connect < 0) != tt.half {
				t.Errorf("%+v", e)
			}
			if e.Service != 7 || e.Server != 101 || e.Client != ap(client(0)) || e.Front != ap(front()) || e.Task != ap(taskAddr(0)+":9000") {
				t.Errorf("%+v", e)
			}
			if e.Total != tt.active || e.InService != tt.active || e.InServer != tt.active {
				t.Errorf("established at the end: %d, %d, %d, want %d", e.Total, e.InService, e.InServer, tt.active)
			}
			if d := time.Since(e.Started); d < 0 || d > time.Minute || e.Duration > d {
				t.Errorf("started %v ago, took %v", d, e.Duration)
			}
		})
	}
}

// The event of a session says how many attempts it took, and whether it ended up at another server.
func TestEventOfARetriedSession(t *testing.T) {
	for _, redispatch := range []bool{false, true} {
		k := newKernel(t, Options{})
		d := retrying(2, 3, redispatch)
		d.Services[0].Logged = true
		k.sync(t, d)
		c := k.open(t, client(0))
		first := c.task
		c.refuse(t, false)
		c.again(t)
		c.fromTask(t, syn|ack, "")
		c.fromClient(t, ack, "")
		c.fromClient(t, rst, "")
		events := k.events(t)
		if len(events) != 1 || events[0].RetriesLeft != 2 || events[0].Redispatched != redispatch || (events[0].Task != first) != redispatch || events[0].Connect < 0 {
			t.Errorf("redispatch %v: %+v, first %s", redispatch, events, first)
		}
	}
}

// The time of connecting is that from the last attempt to the answer; a session lasts from its first SYN on, whatever server it has moved to.
func TestTimesOfASession(t *testing.T) {
	const age = 30 * time.Second // less than the machine has been up for
	for _, redispatch := range []bool{false, true} {
		k := newKernel(t, Options{})
		k.oneCPU = true // each has counts of its own
		d := retrying(2, 3, redispatch)
		d.Services[0].Logged = true
		k.sync(t, d)
		c := k.open(t, client(0))
		keys, entries := c.entriesOf(t)
		entries[0].Created -= uint64(age)
		if err := k.obj.WgFlows.Put(keys[0], entries[0]); err != nil {
			t.Fatal(err)
		}
		c.refuse(t, false)
		c.again(t)
		c.late(t) // by two seconds
		c.fromTask(t, syn|ack, "")
		c.fromClient(t, ack, "")
		c.fromClient(t, rst, "")
		events := k.events(t)
		if len(events) != 1 || events[0].Duration < age || events[0].Connect < 2*time.Second || events[0].Connect > age {
			t.Errorf("redispatch %v: %+v", redispatch, events)
		}
		total := k.snapshot(t).Total
		if total.Connect.Sum != events[0].Connect || total.Connect.Longest != events[0].Connect || total.Life.Sum < age || total.Life.Longest < age {
			t.Errorf("redispatch %v: %+v", redispatch, total)
		}
		for i := 1; i <= 2; i++ { // sessions of no time, one at each server, take nothing from the longest one
			k.establish(t, client(i)).fromClient(t, rst, "")
		}
		if after := k.snapshot(t).Total; after.Ended != 3 || after.Connect.Longest != total.Connect.Longest || after.Life.Longest != total.Life.Longest {
			t.Errorf("redispatch %v: %+v after %+v", redispatch, after, total)
		}
	}
}

// An event tells of its own session, and counts those that were open when it ended: all, its service's and its server's.
func TestEventsCountWhatIsOpen(t *testing.T) {
	k := newKernel(t, Options{})
	d := loggedService(2)
	d.Services = append(d.Services, Service{ID: 8, Name: "other", Binds: binds(frontAddr + ":8081"), Servers: d.Services[0].Servers[:1], Schedule: []uint32{101}})
	k.sync(t, d)
	atServer := make(map[string]int)
	var last *conn
	for i := range 4 { // the last one at the other server
		last = k.establish(t, client(i))
		atServer[last.task.String()]++
	}
	_, out := k.send(t, packet{src: ap(client(4)), dst: ap(frontAddr + ":8081"), flags: syn, seq: 1000})
	other := decode(t, out)
	c := &conn{k: k, client: ap(client(4)), front: ap(frontAddr + ":8081"), back: other.src, task: other.dst, clientSeq: 1001, taskSeq: 5000}
	c.fromTask(t, syn|ack, "")
	c.fromClient(t, ack, "")
	atServer[c.task.String()]++
	last.fromClient(t, rst, "")
	events := k.events(t)
	if len(events) != 1 {
		t.Fatalf("%d events", len(events))
	}
	if e := events[0]; e.Client != last.client || e.Front != last.front || e.Back != last.back || e.Task != last.task {
		t.Errorf("%+v, want %+v", e, last)
	}
	if e := events[0]; e.Total != 5 || e.InService != 4 || e.InServer != atServer[last.task.String()] || e.InServer == e.InService {
		t.Errorf("%+v, at servers %v", e, atServer)
	}
}

// Silent are services that do not log, clients that never finish their handshake, and flows that the ring of half-open
// flows recycles: a flood must not become a flood of lines.
func TestNoEvent(t *testing.T) {
	for name, run := range map[string]func(t *testing.T, k *kernel){
		"not logged": func(t *testing.T, k *kernel) {
			k.sync(t, oneService(1))
			k.establish(t, client(0)).fromClient(t, rst, "")
		},
		"client gives up": func(t *testing.T, k *kernel) {
			k.sync(t, loggedService(1))
			c := k.open(t, client(0))
			c.fromTask(t, syn|ack, "")
			k.pass(t, k.collector(Timeouts{}), time.Minute, 1)
		},
		"recycled": func(t *testing.T, k *kernel) {
			k.sync(t, loggedService(1))
			k.oneCPU = true
			for i := range 3 {
				k.open(t, client(i))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t, Options{FlowMax: 100, HalfOpenRing: 1})
			run(t, k)
			if events := k.events(t); len(events) != 0 {
				t.Errorf("%+v", events)
			}
		})
	}
}

// When nobody reads, the ring fills and no more; what finds no room is counted, and packets pass as ever.
func TestEventsAreBoundedAndCounted(t *testing.T) {
	k := newKernel(t, Options{}) // without OnClose the ring is a page
	k.sync(t, loggedService(1))
	room := os.Getpagesize()/(8+int(unsafe.Sizeof(lbWgEvent{}))) + 1
	n := room + 50
	for i := range n {
		c := k.establish(t, client(i))
		c.fromClient(t, rst, "")
	}
	lost, err := k.obj.lostEvents()
	if err != nil {
		t.Fatal(err)
	}
	if got := len(k.events(t)); got+int(lost) != n || lost < 50 {
		t.Errorf("%d events and %d lost, of %d", got, lost, n)
	}
}

func TestTimeoutEnd(t *testing.T) {
	const s = time.Second
	half := lbWgFlow{State: lbWgStateWG_HALF}
	established := lbWgFlow{State: lbWgStateWG_ESTABLISHED}
	finished := lbWgFlow{State: lbWgStateWG_ESTABLISHED, TcpFlags: tcpFin}
	for _, tt := range []struct {
		name     string
		fwd, rev lbWgFlow
		t        Timeouts
		want     End
	}{
		{"half-open", half, lbWgFlow{}, Timeouts{Client: s}, EndConnectTimeout},
		{"the client's is shorter", established, lbWgFlow{}, Timeouts{Client: s, Server: 2 * s}, EndClientTimeout},
		{"the server's is shorter", established, lbWgFlow{}, Timeouts{Client: 2 * s, Server: s}, EndServerTimeout},
		{"equal", established, lbWgFlow{}, Timeouts{Client: s, Server: s}, EndClientTimeout},
		{"only the server's", established, lbWgFlow{}, Timeouts{Server: s}, EndServerTimeout},
		{"none", established, lbWgFlow{}, Timeouts{}, EndClientTimeout},
		{"tunnel", established, lbWgFlow{}, Timeouts{Client: 2 * s, Server: s, Tunnel: 9 * s}, EndClientTimeout},
		{"client-fin", finished, lbWgFlow{}, Timeouts{Client: 2 * s, Server: s, ClientFin: s}, EndClientTimeout},
		{"server-fin", established, lbWgFlow{TcpFlags: tcpFin}, Timeouts{Client: s, Server: 2 * s, ServerFin: s}, EndServerTimeout},
	} {
		if got := timeoutEnd(tt.fwd, tt.rev, tt.t); got != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got, tt.want)
		}
	}
}
