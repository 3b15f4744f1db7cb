package datapath

import (
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"waggle/pkg/lab/require"
)

// entriesOf are both entries of the client's flow, with their keys: forward, reverse.
func (c *conn) entriesOf(t testing.TB) (keys [2]lbWgKey, entries [2]lbWgFlow) {
	t.Helper()
	found := 0
	if err := eachEntry(c.k.obj.WgFlows, func(key lbWgKey, f lbWgFlow) bool {
		switch {
		case f.Dir == dirForward && addrPort(key.Saddr, key.Sport) == c.client:
			keys[0], entries[0] = key, f
			found++
		case f.Dir == dirReverse && addrPort(key.Saddr, key.Sport) == c.task && addrPort(key.Daddr, key.Dport) == c.back:
			keys[1], entries[1] = key, f
			found++
		}
		return true
	}); err != nil || found != 2 {
		t.Fatalf("%d entries of %s, %v", found, c.client, err)
	}
	return keys, entries
}

// A slot of the ring whose flow is over says nothing about a newer flow with the same addresses.
func TestTheRingKnowsItsFlows(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 1})
	k.oneCPU = true
	k.sync(t, oneService(1))
	old := k.open(t, client(0))
	old.fromClient(t, rst, "")
	fresh := k.open(t, client(0)) // recycles its own flow, and then comes upon its own slot
	fresh.fromTask(t, syn|ack, "")
	fresh.fromClient(t, ack, "")
	if s := fresh.state(t); s != FlowEstablished {
		t.Errorf("the newer flow is %s", s)
	}
}

// An entry that has lost its other half takes no other flow of the same client for it.
func TestHalvesOfDifferentFlowsAreNoPair(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	old := k.establish(t, client(0))
	k.lose(t, keyOf(old.client, old.front))
	fresh := k.establish(t, client(0))
	k.send(t, packet{src: old.task, dst: old.back, flags: rst | ack, seq: old.taskSeq, ack: old.clientSeq})
	if s := fresh.state(t); s != FlowEstablished {
		t.Errorf("a RST of the old flow's task makes the newer flow %s", s)
	}
	fresh.fromClient(t, ack, "unharmed")
	fresh.fromTask(t, ack, "both ways")
}

// What was said about a flow, such as to shut it down, does not hold for the next one with the same addresses.
func TestCollectorSparesANewerFlow(t *testing.T) {
	for _, how := range []lbWgDoom{lbWgDoomWG_DOOM_FORCED, lbWgDoomWG_DOOM_IDLE} {
		k := newKernel(t, Options{})
		k.sync(t, oneService(1))
		old := k.establish(t, client(0))
		keys, entries := old.entriesOf(t)
		said := sentenceOf(keys[0], entries[0], entries[1])
		said.How = how
		old.fromClient(t, rst, "")
		fresh := k.establish(t, client(0))
		_, entries = fresh.entriesOf(t)
		said.Seen, said.TwinSeen = entries[0].Seen, entries[1].Seen // the clock moves in steps of some milliseconds
		if n, err := k.collector(Timeouts{}).execute([]sentence{said}); n != 0 || err != nil {
			t.Errorf("how %d: %d deleted, %v", how, n, err)
		}
		fresh.fromClient(t, ack, "lives")
	}
}

// The reverse entry of a flow that lives is no orphan, whatever the collector has seen: it reads the table while that changes.
func TestCollectorSparesWhatIsNoOrphan(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.establish(t, client(0))
	keys, entries := c.entriesOf(t)
	said := sentence{lbWgDoomed: lbWgDoomed{Key: keys[1], How: lbWgDoomWG_DOOM_ORPHAN, Generation: entries[1].Generation}}
	if n, err := k.collector(Timeouts{}).execute([]sentence{said}); n != 0 || err != nil {
		t.Errorf("%d deleted, %v", n, err)
	}
	c.fromTask(t, ack, "still here")
}

// What keeps a flow from being idle is payload, SYN or FIN of either side, as in HAProxy; a bare ACK does not, nor a keepalive
// probe, which TCP answers whatever the application does.
func TestWhatIsActivity(t *testing.T) {
	for name, tt := range map[string]struct {
		act   func(*testing.T, *conn)
		lives bool
	}{
		"nothing":             {func(*testing.T, *conn) {}, false},
		"ACK":                 {func(t *testing.T, c *conn) { c.fromClient(t, ack, "") }, false},
		"ACK of the task":     {func(t *testing.T, c *conn) { c.fromTask(t, ack, "") }, false},
		"keepalive probe":     {func(t *testing.T, c *conn) { c.clientSeq--; c.fromClient(t, ack, "") }, false},
		"payload":             {func(t *testing.T, c *conn) { c.fromClient(t, ack, "x") }, true},
		"payload of the task": {func(t *testing.T, c *conn) { c.fromTask(t, ack, "x") }, true},
		"payload sent again":  {func(t *testing.T, c *conn) { c.clientSeq--; c.fromClient(t, ack, "x") }, true},
		"FIN":                 {func(t *testing.T, c *conn) { c.fromClient(t, fin|ack, "") }, true},
		"FIN of the task":     {func(t *testing.T, c *conn) { c.fromTask(t, fin|ack, "") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKernel(t, Options{})
			k.sync(t, oneService(1))
			c := k.establish(t, client(0))
			k.age(t, 30*time.Second)
			tt.act(t, c)
			want := 1
			if tt.lives {
				want = 0
			}
			k.pass(t, k.collector(Timeouts{Client: 40 * time.Second, Server: 40 * time.Second}), 20*time.Second, want)
		})
	}
}

// Flows have numbers that no other one has, on whichever CPUs they begin: by these the ring and the collector know them.
func TestFlowsOfTwoCPUsAreTwo(t *testing.T) {
	cpus := allowedCPUs(t)
	if len(cpus) < 2 {
		require.Skip(t, "needs two CPUs")
	}
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	numbers := make(map[uint64]string)
	for i := range 4 {
		frame := packet{src: ap(client(i)), dst: ap(front()), flags: syn, seq: 1000}.frame(t)
		k.must(t, "run", func() error { // the thread is this call's own
			if err := pin(cpus[i%2]); err != nil {
				return err
			}
			_, err := k.obj.WgIngress.Run(&ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: skbContext{IngressIfindex: loIndex, Ifindex: loIndex}})
			return err
		})
	}
	for _, f := range k.flows(t) {
		if other, ok := numbers[f.ID]; ok {
			t.Errorf("the flows of %s and %s have the number %x", other, f.Client, f.ID)
		}
		numbers[f.ID] = f.Client.String()
	}
	if len(numbers) != 4 {
		t.Errorf("%d flows, want 4", len(numbers))
	}
}
