package datapath

import (
	"sync/atomic"
	"testing"

	"github.com/cilium/ebpf"
)

// A sender's thread and what answers the ACKs that it gets may send on two CPUs at the same time. Each byte is counted once all the same,
// for the flow as for its service.
func TestBytesThatComeByTwoCPUs(t *testing.T) {
	cpus := allowedCPUs(t)
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.establish(t, client(0))
	const payload = "bytes"
	frames := make([][]byte, sized(20_000, 500))
	for i := range frames {
		frames[i] = packet{src: c.client, dst: c.front, flags: ack, seq: c.clientSeq + uint32(i*len(payload)), ack: c.taskSeq, payload: payload}.frame(t)
	}
	var at [2]atomic.Int64
	ended := make(chan error, len(at))
	for i := range at {
		go func() {
			ended <- k.do(func() error { // in a thread of its own
				defer at[i].Store(int64(len(frames)))
				if err := pin(cpus[i%len(cpus)]); err != nil {
					return err
				}
				for n, frame := range frames {
					at[i].Store(int64(n))
					for waits := 0; at[1-i].Load() < int64(n) && waits < 10_000; waits++ { // side by side, unless the other one is not running
						continue
					}
					if _, err := k.obj.WgIngress.Run(&ebpf.RunOptions{Data: frame, Context: skbContext{IngressIfindex: loIndex, Ifindex: loIndex}}); err != nil {
						return err
					}
				}
				return nil
			})
		}()
	}
	for range at {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
	want := uint64(len(frames) * len(payload))
	if got := k.snapshot(t).Total.BytesIn; got != want {
		t.Errorf("%d bytes are counted, want %d", got, want)
	}
	if flow := k.flows(t)[0]; flow.BytesIn != want {
		t.Errorf("%d bytes are the flow's, want %d", flow.BytesIn, want)
	}
}
