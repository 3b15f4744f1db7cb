package datapath

import (
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// joinedContext is struct __sk_buff up to gso_size, as BPF_PROG_RUN takes it.
type joinedContext struct {
	skbContext
	_       [27]uint32
	GsoSize uint32
}

// A packet that was joined from many (BIG TCP) has its length in an extension header, and is translated behind that. What only looks
// like one goes to the stack.
func TestJoinedPackets(t *testing.T) {
	if size := binary.Size(joinedContext{}); size != 180 {
		t.Fatalf("gso_size ends at %d", size)
	}
	for _, tt := range []struct {
		name    string
		change  func(f []byte) []byte
		segment uint32
		taken   bool
	}{
		{name: "joined", segment: 50, taken: true},
		{name: "not joined"},
		{"an option of another kind", func(f []byte) []byte { f[56] = 0xc3; return f }, 50, false},
		{"an option of another length", func(f []byte) []byte { f[57] = 6; return f }, 50, false},
		{"more options", func(f []byte) []byte { f[55] = 1; return f }, 50, false},
		{"UDP", func(f []byte) []byte { f[54] = unix.IPPROTO_UDP; return f }, 50, false},
		{"a length in the header as well", func(f []byte) []byte { f[19] = 80; return f }, 50, false},
		{"an end in the TCP header", func(f []byte) []byte { return f[:14+40+8+19] }, 50, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKernel(t, Options{})
			k.sync(t, sixService(1))
			c := k.establishSix(t)
			jumbo := func(p packet) []byte {
				f := header(unix.IPPROTO_HOPOPTS, 0, 0, 0xc2, 4, 0, 0, 0, 120)(p.frame(t))
				f[18], f[19] = 0, 0
				return f
			}
			p := packet{src: c.client, dst: c.front, flags: ack, seq: c.clientSeq, ack: c.taskSeq, payload: string(make([]byte, 100))}
			frame := jumbo(p)
			if tt.change != nil {
				frame = tt.change(frame)
			}
			before := k.reasons(t)["ip_options"]
			run := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: joinedContext{skbContext: skbContext{IngressIfindex: loIndex, Ifindex: loIndex}, GsoSize: tt.segment}}
			var verdict int
			k.must(t, "run", func() error {
				ret, err := k.obj.WgIngress.Run(&run)
				verdict = int(int32(ret))
				return err
			})
			if !tt.taken {
				if n := k.reasons(t)["ip_options"] - before; verdict != verdictNext || string(run.DataOut) != string(frame) || tt.name != "UDP" && n != 1 {
					t.Errorf("verdict %d, counted %d times", verdict, n)
				}
				return
			}
			want := p
			want.src, want.dst, want.ttl = c.back, c.task, 63
			if verdict != verdictRedirect || string(run.DataOut) != string(jumbo(want)) {
				t.Errorf("verdict %d, leaves as\n%x\nwant\n%x", verdict, run.DataOut, jumbo(want))
			}
			if s := k.snapshot(t).Total; s.BytesIn != 100 {
				t.Errorf("%d bytes in", s.BytesIn)
			}
		})
	}
}
