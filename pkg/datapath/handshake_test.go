package datapath

import "testing"

// A SYN-ACK that comes again behind data, as a network that doubles packets has it, sets nothing back: what follows is counted once.
func TestARepeatedSYNBeginsNothingAnew(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.open(t, client(0))
	again := func(seq *uint32, isn uint32, send func()) {
		at := *seq
		*seq = isn
		send()
		*seq = at
	}
	c.fromClient(t, ack, "early") // as data of a fast open would count
	again(&c.clientSeq, 1000, func() { c.fromClient(t, syn, "") })
	c.fromClient(t, ack, "!")
	c.fromTask(t, syn|ack, "")
	c.fromClient(t, ack, "")
	c.fromTask(t, ack, "answer")
	again(&c.taskSeq, 5000, func() { c.fromTask(t, syn|ack, "") })
	c.fromTask(t, ack, "!")
	if s := k.snapshot(t).Total; s.BytesIn != 6 || s.BytesOut != 7 {
		t.Errorf("%d bytes in and %d out, want 6 and 7", s.BytesIn, s.BytesOut)
	}
	// Another number is another attempt: the server has lost its first one, or makes cookies.
	d := k.open(t, client(1))
	d.fromTask(t, syn|ack, "")
	d.taskSeq = 90000
	d.fromTask(t, syn|ack, "")
	d.fromClient(t, ack, "")
	if s := d.state(t); s != FlowEstablished {
		t.Errorf("after another SYN-ACK: %s", s)
	}
}

// A server that takes data from the SYN may answer it before the handshake is done. When the client's first acknowledgement is lost,
// the next one is of the answer as well, and shows just as well that the client is there.
func TestAnAcknowledgementOfFastOpenPromotes(t *testing.T) {
	for _, tt := range []struct {
		name string
		off  uint32 // of the acknowledgement, from the end of what the server has sent
		want FlowState
	}{
		{"of all", 0, FlowEstablished}, {"of a part", ^uint32(4), FlowEstablished}, {"of the SYN", ^uint32(11), FlowEstablished},
		{"of nothing", ^uint32(12), FlowHalfOpen}, {"of more", 1, FlowHalfOpen},
	} {
		k := newKernel(t, Options{})
		k.sync(t, oneService(1))
		c := k.open(t, client(0))
		c.fromTask(t, syn|ack, "")
		c.fromTask(t, ack, "early answer")
		c.taskSeq += tt.off
		c.fromClient(t, ack, "")
		if s := c.state(t); s != tt.want {
			t.Errorf("acknowledgement %s: %s, want %s", tt.name, s, tt.want)
		}
	}
}
