package datapath

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// Verdicts of the program.
const (
	verdictNext     = -1
	verdictDrop     = 2
	verdictRedirect = 7

	xdpPass     = 2
	xdpBack     = 3
	xdpRedirect = 4
)

// loIndex is the index of the loopback interface in a fresh namespace: the one that test packets come in by.
const loIndex = 1

// kernel is the real object, loaded but attached to nothing, in a namespace of its own. Packets go through it by BPF_PROG_RUN.
type kernel struct {
	*room
	obj     *object
	planner planner
	tables  tables
	// routes and known are what sync says of the network.
	routes []tableRoute
	known  []neighbour
	// oneCPU keeps packets on the first CPU that this process may use, for what the program keeps by CPU.
	oneCPU bool
	// summed has packets come to TC with a sum over all of them, as from a NIC (CHECKSUM_COMPLETE); the kernel then demands that
	// it is right still when the program has changed them.
	summed bool
	// accepts is what XDP may send by the interface. Once useXDP was called, packets come by XDP first.
	accepts uint16
	// byXDP tells that the last packet did not come to TC.
	byXDP bool
}

// useXDP has packets come by XDP first and then, if it leaves them, by TC, as on an interface that has both.
func (k *kernel) useXDP(t testing.TB, accepts uint16) {
	t.Helper()
	var err error
	if k.obj.express, err = k.obj.loadExpress(Options{}); err != nil {
		t.Fatalf("%+v", err)
	}
	k.accepts = accepts
}

func newKernel(t testing.TB, o Options) *kernel {
	t.Helper()
	require.Root(t)
	r := newRoom(t)
	obj, err := load(o.withDefaults())
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := errors.Join(noteReasons(obj), obj.close()); err != nil {
			t.Error(err)
		}
	})
	k := &kernel{room: r, obj: obj, planner: newPlanner(obj)}
	k.tables = newTables(obj, k.planner.targets)
	obj.settings.PortMin, obj.settings.PortMax = 1024, 32767
	obj.ports.add(1024, 32767)
	k.beat()
	if err := obj.WgIfaces.Put(uint32(loIndex), lbWgIface{Mtu: clientMTU}); err != nil {
		t.Fatal(err)
	}
	return k
}

// target is what slots of the schedule lead to for a server.
func (k *kernel) target(t testing.TB, id uint32) *lbWgTarget {
	t.Helper()
	var v lbWgServer
	if err := k.obj.WgServers.Lookup(id, &v); err != nil {
		t.Fatal(err)
	}
	return &k.obj.targets[v.Target]
}

// beat is a sign of life that lasts, since a test may take its time on a slow machine.
func (k *kernel) beat() {
	atomic.StoreUint64(&k.obj.settings.Heartbeat, monotonicNow()+uint64(time.Hour))
}

// sync puts a desired state in place. All servers are on-link behind an interface of taskMTU.
func (k *kernel) sync(t testing.TB, d Desired) {
	t.Helper()
	if err := d.validate(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.tables.follow(&k.planner, d, k.view()); err != nil {
		t.Fatal(err)
	}
}

// view is the namespace that the kernel path is told of.
func (k *kernel) view() view {
	return view{
		links:  []link{{index: loIndex, name: "lo", mtu: taskMTU, mac: ourMAC, accepts: k.accepts}},
		addrs:  []netip.Addr{netip.MustParseAddr(frontAddr), netip.MustParseAddr(backAddr), netip.MustParseAddr(frontAddr6), netip.MustParseAddr(backAddr6)},
		routes: k.routes,
		known:  k.known,
		route: func(to netip.Addr) (route, bool) {
			source := netip.MustParseAddr(backAddr)
			if to.Is6() {
				source = netip.MustParseAddr(backAddr6)
			}
			return route{ifindex: loIndex, source: source, nexthop: to}, to.String() != unroutable
		},
	}
}

// ourMAC is that of the interface that packets leave by.
var ourMAC = [6]byte{2, 0, 0, 0, 0, 0xee}

// unroutable is a server without a way to it.
const unroutable = "203.0.113.99"

// send runs the program on one packet and returns its verdict and what became of the packet.
func (k *kernel) send(t testing.TB, p packet) (verdict int, out []byte) {
	t.Helper()
	return k.sendFrame(t, p.frame(t))
}

func (k *kernel) sendFrame(t testing.TB, frame []byte) (verdict int, out []byte) {
	t.Helper()
	if k.obj.express != nil {
		if verdict, out = k.sendByXDP(t, frame); k.byXDP {
			return verdict, out
		}
	}
	run := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: skbContext{IngressIfindex: loIndex, Ifindex: loIndex}}
	if k.summed {
		run.Flags = unix.BPF_F_TEST_SKB_CHECKSUM_COMPLETE
	}
	cpus := allowedCPUs(t)
	k.must(t, "run", func() error {
		if k.oneCPU { // the thread is this call's own
			if err := pin(cpus[0]); err != nil {
				return err
			}
		}
		ret, err := k.obj.WgIngress.Run(&run)
		verdict = int(int32(ret))
		return err
	})
	return verdict, run.DataOut
}

// sendByXDP runs the program for XDP. byXDP is false if it leaves the packet to TC, which it must do untouched.
func (k *kernel) sendByXDP(t testing.TB, frame []byte) (verdict int, out []byte) {
	t.Helper()
	run := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256)} // without a context it comes in by lo
	k.must(t, "run", func() error {
		ret, err := k.obj.express.Run(&run)
		verdict = int(ret)
		return err
	})
	k.byXDP = verdict != xdpPass
	switch verdict {
	case xdpPass:
		if !bytes.Equal(run.DataOut, frame) {
			t.Errorf("XDP passes on\n%x\nfor\n%x", run.DataOut, frame)
		}
	case xdpBack, xdpRedirect:
		if want := map[bool]int{true: xdpBack, false: xdpRedirect}[k.accepts&macXDPBack != 0]; verdict != want {
			t.Errorf("verdict %d of XDP, want %d", verdict, want)
		}
		return verdictRedirect, run.DataOut
	default:
		t.Errorf("verdict %d of XDP", verdict)
	}
	return verdictDrop, run.DataOut
}

// expect sends p and demands that it leaves as want, byte for byte, checksums included.
func (k *kernel) expect(t testing.TB, p, want packet) {
	t.Helper()
	verdict, out := k.send(t, p)
	if verdict != verdictRedirect {
		t.Fatalf("verdict %d, want %d (redirect); reasons %v", verdict, verdictRedirect, k.reasons(t))
	}
	if frame := want.frame(t); !bytes.Equal(out, frame) {
		t.Fatalf("packet leaves as\n%x\nwant\n%x", out, frame)
	}
}

// refuse sends p and demands that it goes to the stack unchanged, counted under reason ("" for none).
func (k *kernel) refuse(t testing.TB, p packet, reason string) {
	t.Helper()
	k.refuseFrame(t, p.frame(t), reason)
}

func (k *kernel) refuseFrame(t testing.TB, frame []byte, reason string) {
	t.Helper()
	want := k.reasons(t)
	if reason != "" {
		want[reason]++
	}
	open := k.gauge(0).Open
	verdict, out := k.sendFrame(t, frame)
	if verdict != verdictNext {
		t.Errorf("verdict %d, want %d (next)", verdict, verdictNext)
	}
	if !bytes.Equal(out, frame) {
		t.Error("the packet was changed")
	}
	if got := k.reasons(t); !maps.Equal(got, want) {
		t.Errorf("reasons %v, want %v", got, want)
	}
	if now := k.gauge(0).Open; now != open {
		t.Errorf("%d open flows, %d before", now, open)
	}
}

func (k *kernel) reasons(t testing.TB) map[string]uint64 {
	t.Helper()
	reasons := make(map[string]uint64)
	if err := k.obj.readReasons(reasons); err != nil {
		t.Fatal(err)
	}
	return reasons
}

// numbers are the current ones of a service, a server or all.
type numbers struct{ Entries, Open, Established, Taken uint64 }

func (k *kernel) gauge(index uint32) numbers {
	open, g := k.obj.load(index).open(), &k.obj.gauges[index]
	return numbers{Entries: open + uint64(g.Held), Open: open, Established: uint64(g.Established), Taken: uint64(k.obj.loads[index].Taken)}
}

func (k *kernel) snapshot(t testing.TB) Snapshot {
	t.Helper()
	s, err := k.obj.snapshot(&k.planner, &ledger{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (k *kernel) flows(t testing.TB) []Flow {
	t.Helper()
	var flows []Flow
	if err := k.obj.flows(func(f Flow) bool { flows = append(flows, f); return true }); err != nil {
		t.Fatal(err)
	}
	return flows
}

// entries counts what is in wg_flows.
func (k *kernel) entries(t testing.TB) (n int) {
	t.Helper()
	if err := eachEntry(k.obj.WgFlows, func(lbWgKey, lbWgFlow) bool { n++; return true }); err != nil {
		t.Fatal(err)
	}
	return n
}

// conn is a connection that the test plays both ends of.
type conn struct {
	k                         *kernel
	client, front, back, task netip.AddrPort
	clientSeq, taskSeq        uint32 // next byte of each end
	stamp                     uint32 // the client's timestamp; 0: it sends none
	// toTask and toClient are the MACs that packets leave to; zero: the neighbour code of the kernel sees to it.
	toTask, toClient [6]byte
}

// open sends a SYN of client and learns which task it goes to and from which port.
func (k *kernel) open(t testing.TB, client string) *conn {
	t.Helper()
	c := &conn{k: k, client: ap(client), front: ap(front()), clientSeq: 1000, taskSeq: 5000}
	verdict, out := k.send(t, packet{src: c.client, dst: c.front, flags: syn, seq: c.clientSeq})
	if verdict != verdictRedirect {
		t.Fatalf("SYN: verdict %d, want %d (redirect); reasons %v", verdict, verdictRedirect, k.reasons(t))
	}
	got := decode(t, out)
	c.back, c.task = got.src, got.dst
	c.clientSeq++
	return c
}

// establish opens a connection and finishes its handshake.
func (k *kernel) establish(t testing.TB, client string) *conn {
	t.Helper()
	c := k.open(t, client)
	c.fromTask(t, syn|ack, "")
	c.fromClient(t, ack, "")
	return c
}

// fromClient sends a packet of the client and demands that the task gets it.
func (c *conn) fromClient(t testing.TB, flags uint8, payload string) {
	t.Helper()
	p := packet{src: c.client, dst: c.front, flags: flags, seq: c.clientSeq, ack: c.taskSeq, payload: payload, stamp: c.stamp}
	want := p
	want.src, want.dst, want.ttl, want.toMAC = c.back, c.task, 63, c.toTask
	c.k.expect(t, p, want)
	c.clientSeq += advance(flags, payload)
}

// fromTask sends a packet of the task and demands that the client gets it.
func (c *conn) fromTask(t testing.TB, flags uint8, payload string) {
	t.Helper()
	p := packet{src: c.task, dst: c.back, flags: flags, seq: c.taskSeq, ack: c.clientSeq, payload: payload}
	want := p
	want.src, want.dst, want.ttl, want.toMAC = c.front, c.client, 63, c.toClient
	c.k.expect(t, p, want)
	c.taskSeq += advance(flags, payload)
}

func advance(flags uint8, payload string) uint32 {
	n := uint32(len(payload))
	if flags&(syn|fin) != 0 {
		n++
	}
	return n
}

// state is the state of the only flow of the client.
func (c *conn) state(t testing.TB) FlowState {
	t.Helper()
	for _, f := range c.k.flows(t) {
		if f.Client == c.client {
			return f.State
		}
	}
	return "none"
}

func addr16(s string) [16]byte { return netip.MustParseAddr(s).As16() }

func client(i int) string { return fmt.Sprintf("192.0.2.%d:%d", 10+i/60000, 1024+i%60000) }
