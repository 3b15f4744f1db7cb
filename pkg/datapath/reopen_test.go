package datapath

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// age moves the last activity of every flow into the past.
func (k *kernel) age(t *testing.T, d time.Duration) {
	t.Helper()
	all := make(map[lbWgKey]lbWgFlow)
	if err := eachEntry(k.obj.WgFlows, func(key lbWgKey, f lbWgFlow) bool { all[key] = f; return true }); err != nil {
		t.Fatal(err)
	}
	for key, f := range all {
		f.Seen -= uint64(d)
		if err := k.obj.WgFlows.Put(key, f); err != nil {
			t.Fatal(err)
		}
	}
}

// taskCloses ends a connection so that its task is in TIME_WAIT.
func taskCloses(t *testing.T, c *conn) {
	t.Helper()
	c.fromTask(t, fin|ack, "")
	c.fromClient(t, fin|ack, "")
	c.fromTask(t, ack, "")
}

// A port whose task is in TIME_WAIT is used again for a SYN that is newer than all the task remembers, and for no other: that
// one would meet a challenge, and its client wait for a second.
func TestPortsOfTimeWait(t *testing.T) {
	const old, seq = 5_000_000, 1002 // the client's last timestamp, and what comes next of it
	for _, tt := range []struct {
		name   string
		stamp  uint32 // of the first connection
		close  func(*testing.T, *conn)
		age    time.Duration
		again  packet // the SYN, but for its ends
		reopen bool
	}{
		{"newer", 0, taskCloses, time.Second, packet{seq: seq + 1}, true},
		{"newer, half the numbers ahead", 0, taskCloses, time.Second, packet{seq: seq + 1<<31 - 1}, true},
		{"older, half the numbers behind", 0, taskCloses, time.Second, packet{seq: seq + 1<<31}, false},
		{"the very next number", 0, taskCloses, time.Second, packet{seq: seq}, false},
		{"older", 0, taskCloses, time.Second, packet{seq: seq - 1}, false},
		{"newer, timestamp the only one", 0, taskCloses, time.Second, packet{seq: seq + 1, stamp: 1}, true},
		{"newer, timestamp too", old, taskCloses, time.Second, packet{seq: seq + 1, stamp: old + 1}, true},
		{"newer, same timestamp", old, taskCloses, time.Second, packet{seq: seq + 1, stamp: old}, false},
		{"newer, older timestamp", old, taskCloses, time.Second, packet{seq: seq + 1, stamp: old - 1}, false},
		{"newer, timestamp gone", old, taskCloses, time.Second, packet{seq: seq + 1}, true},
		{"older, newer timestamp", old, taskCloses, time.Second, packet{seq: seq - 1, stamp: old + 1}, false},
		{"too soon", 0, taskCloses, 0, // this machine may need some of the second
			packet{seq: seq + 1}, false},
		{"the client's FIN not acknowledged", 0, func(t *testing.T, c *conn) {
			c.fromTask(t, fin|ack, "")
			c.fromClient(t, fin|ack, "")
		}, time.Second, packet{seq: seq + 1}, false},
		{"the task's FIN not acknowledged", 0, func(t *testing.T, c *conn) {
			c.fromTask(t, fin|ack, "")
			c.taskSeq--
			c.fromClient(t, fin|ack, "")
			c.taskSeq++
			c.fromTask(t, ack, "")
		}, time.Second, packet{seq: seq + 1}, false},
		{"a later timestamp after the FIN", old, func(t *testing.T, c *conn) {
			taskCloses(t, c)
			c.stamp += 100
			c.fromClient(t, ack, "")
		}, time.Second, packet{seq: seq + 1, stamp: old + 50}, false},
		{"client first", 0, func(t *testing.T, c *conn) {
			c.fromClient(t, fin|ack, "")
			c.fromTask(t, fin|ack, "")
			c.fromClient(t, ack, "")
		}, time.Second, packet{seq: seq + 1}, false},
		{"ended by RST", 0, func(t *testing.T, c *conn) {
			c.fromTask(t, fin|ack, "")
			c.fromClient(t, rst|ack, "")
		}, time.Second, packet{seq: seq + 1}, false},
		{"alive", 0, func(*testing.T, *conn) {}, time.Hour, packet{seq: seq + 1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, recycled := range []bool{false, true} { // by its own client, from the same port: a tombstone holds the port
				k := newKernel(t, Options{})
				k.sync(t, oneService(1))
				k.obj.settings.PortMin, k.obj.settings.PortMax = 2000, 2000
				first := &conn{stamp: tt.stamp}
				*first = *k.open(t, client(0))
				first.stamp = tt.stamp
				first.fromTask(t, syn|ack, "")
				first.fromClient(t, ack, "")
				tt.close(t, first)
				if recycled {
					if first.state(t) != FlowClosed || !tt.reopen {
						continue
					}
					k.recycle(t, first)
				}
				k.age(t, tt.age)
				again := tt.again
				again.src, again.dst, again.flags = ap(client(1)), ap(front()), syn
				if !tt.reopen {
					k.refuse(t, again, "no_port")
					continue
				}
				want := again
				want.src, want.dst, want.ttl = first.back, first.task, 63
				k.expect(t, again, want)
				for i := range uint32(3) {
					if g := k.gauge(i); g.Entries != uint64(k.entries(t)/2) || g.Taken != g.Open {
						t.Errorf("recycled %v, gauge %d: %+v, %d entries", recycled, i, g, k.entries(t))
					}
				}
				second := &conn{k: k, client: again.src, front: again.dst, back: first.back, task: first.task, clientSeq: again.seq + 1, taskSeq: 70_000, stamp: again.stamp}
				second.fromTask(t, syn|ack, "")
				second.fromClient(t, ack, "it lives")
				second.fromTask(t, ack, "indeed")
				// What comes late of the client before is nobody's.
				if !recycled {
					k.refuse(t, packet{src: first.client, dst: first.front, flags: fin | ack, seq: first.clientSeq - 1, ack: first.taskSeq}, "no_flow")
				}
			}
		})
	}
}

// recycle has the client of a closed connection begin anew, on another port of ours, and forget that again.
func (k *kernel) recycle(t *testing.T, c *conn) {
	t.Helper()
	k.obj.settings.PortMax++
	again := k.open(t, c.client.String())
	if again.back == c.back {
		t.Fatal("the port is used again at once")
	}
	again.fromTask(t, rst|ack, "")
	k.pass(t, k.collector(Timeouts{}), holdReset+time.Second, 1)
	k.obj.settings.PortMax--
}

// meeting has two CPUs that are in a function of the program at the same time wait for each other at its beginning, so that what
// stands before the call has been done on both when one goes on.
type meeting struct{ state *ebpf.Map } // one meetingState

type meetingState struct {
	Arrived uint64 // calls of the function
	Met     uint64 // calls that have waited for another one, and it came
}

func newMeeting(t *testing.T) meeting {
	t.Helper()
	state, err := ebpf.NewMap(&ebpf.MapSpec{Name: "meeting", Type: ebpf.Array, KeySize: 4, ValueSize: 16, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { state.Close() })
	return meeting{state}
}

// in puts the waiting in front of a global function of the program. A CPU that is alone goes on after some milliseconds.
func (m meeting) in(p *ebpf.ProgramSpec, function string) {
	at := slices.IndexFunc(p.Instructions, func(i asm.Instruction) bool { return i.Symbol() == function })
	first := p.Instructions[at]
	wait := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1), asm.Mov.Reg(asm.R7, asm.R2), asm.Mov.Reg(asm.R8, asm.R3), // the function's arguments
		asm.StoreMem(asm.R10, -8, asm.R4, asm.DWord), asm.StoreMem(asm.R10, -16, asm.R5, asm.DWord),
		asm.StoreImm(asm.R10, -20, 0, asm.Word),
		asm.LoadMapPtr(asm.R1, m.state.FD()), asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, -20),
		asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, "go on"),
		asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R0, asm.R1, asm.DWord, 0),
		asm.StoreMem(asm.R10, -32, asm.R0, asm.DWord), asm.Mov.Imm(asm.R9, 0),
		asm.LoadMem(asm.R1, asm.R10, -32, asm.DWord).WithSymbol("wait"), asm.LoadMem(asm.R1, asm.R1, 0, asm.DWord), asm.JGE.Imm(asm.R1, 2, "met"),
	}
	for range 48 { // about 7 ms with all rounds
		wait = append(wait, asm.FnKtimeGetNs.Call())
	}
	wait = append(wait, asm.Add.Imm(asm.R9, 1), asm.JLT.Imm(asm.R9, 4000, "wait"), asm.Ja.Label("go on"),
		asm.JEq.Imm(asm.R9, 0, "go on").WithSymbol("met"), // it was there first
		asm.LoadMem(asm.R1, asm.R10, -32, asm.DWord), asm.Mov.Imm(asm.R2, 1), asm.AddAtomic.Mem(asm.R1, asm.R2, asm.DWord, 8),
		asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("go on"), asm.Mov.Reg(asm.R2, asm.R7), asm.Mov.Reg(asm.R3, asm.R8),
		asm.LoadMem(asm.R4, asm.R10, -8, asm.DWord), asm.LoadMem(asm.R5, asm.R10, -16, asm.DWord))
	wait[0].Metadata = first.Metadata
	first.Metadata = asm.Metadata{}
	p.Instructions = slices.Concat(p.Instructions[:at], wait, asm.Instructions{first}, p.Instructions[at+1:])
}

// took tells whether two CPUs have met since it was asked last.
func (m meeting) took(t *testing.T) bool {
	t.Helper()
	var s meetingState
	if err := errors.Join(m.state.Lookup(uint32(0), &s), m.state.Put(uint32(0), meetingState{})); err != nil {
		t.Fatal(err)
	}
	return s.Met > 0
}

// A port is another's for one client only, however many CPUs ask: two that have both seen that the port can be had, a port of
// a closed flow or one that a tombstone holds.
func TestPortsOfTimeWaitAreReopenedOnce(t *testing.T) {
	m := newMeeting(t)
	// Where the timestamp of a SYN is read, to compare it with the last one.
	k := newKernel(t, Options{HalfOpenRing: 5000, build: func(p *ebpf.ProgramSpec) { m.in(p, "tcp_option") }})
	k.sync(t, oneService(1))
	const ports, stamp = 100, 5_000_000
	only := func(i int) { k.obj.settings.PortMin, k.obj.settings.PortMax = uint16(2000+2*i), uint16(2000+2*i) }
	for i := range ports {
		only(i)
		c := k.open(t, client(i))
		c.stamp = stamp
		c.fromTask(t, syn|ack, "")
		c.fromClient(t, ack, "")
		if taskCloses(t, c); i%2 == 1 {
			k.recycle(t, c)
		}
	}
	k.age(t, 2*time.Second)
	met := 0
	m.took(t)
	send := k.twoCPUs(t)
	for i := range ports {
		only(i)
		send(func(cpu int) packet {
			p := synTo(2000 + 2*i + cpu)
			p.seq, p.stamp = 2000, stamp+1
			return p
		})
		if m.took(t) {
			met++
		}
	}
	if met == 0 {
		t.Error("the two CPUs never were at it at the same time")
	}
	s := k.snapshot(t).Total
	if s.HalfOpen != ports || s.Entries != ports || k.entries(t) != 2*ports {
		t.Errorf("%+v, %d entries; want %d half-open flows and no other", s, k.entries(t), ports)
	}
	if n := k.reasons(t)["no_port"]; n != ports {
		t.Errorf("%d SYNs fell through, want %d", n, ports)
	}
	t.Logf("at %d of %d ports the CPUs met", met, ports)
}

// twoCPUs returns what sends a packet on each of two CPUs at the same time, as near as can be.
func (k *kernel) twoCPUs(t *testing.T) (send func(packetFor func(cpu int) packet)) {
	t.Helper()
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		t.Fatal(err)
	}
	var frames []chan []byte
	sent := make(chan error)
	for cpu := range len(allowed) * 64 {
		if !allowed.IsSet(cpu) || len(frames) == 2 {
			continue
		}
		in := make(chan []byte)
		frames = append(frames, in)
		go k.do(func() error { // in a thread of its own
			var only unix.CPUSet
			only.Set(cpu)
			err := unix.SchedSetaffinity(0, &only)
			for frame := range in {
				_, runErr := k.obj.WgIngress.Run(&ebpf.RunOptions{Data: frame, Context: skbContext{Ifindex: loIndex}})
				sent <- errors.Join(err, runErr)
			}
			return nil
		})
	}
	t.Cleanup(func() {
		for _, in := range frames {
			close(in)
		}
	})
	if len(frames) < 2 {
		require.Skip(t, "needs two CPUs")
	}
	return func(packetFor func(cpu int) packet) {
		t.Helper()
		for cpu, in := range frames {
			in <- packetFor(cpu).frame(t)
		}
		for range frames {
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
	}
}
