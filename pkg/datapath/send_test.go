package datapath

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// What a packet takes from the client's interface to the task's, both bridges included: by a known MAC, by the neighbour
// code of the kernel, and by its routing table as well. Shown is the quickest of many batches, which a busy machine
// disturbs least.
func BenchmarkSend(b *testing.B) {
	for _, bench := range []struct {
		name    string
		prepare func(*Datapath)
	}{
		{"known MAC", func(*Datapath) {}},
		{"neighbour code", func(dp *Datapath) {
			for _, i := range dp.planner.ways.index {
				dp.planner.ways.forget(i)
			}
		}},
		{"routing table", func(dp *Datapath) {
			for i := range dp.obj.ways {
				dp.obj.ways[i].Id = 0
			}
		}},
	} {
		b.Run(bench.name, func(b *testing.B) { benchSend(b, bench.prepare) })
	}
}

func benchSend(b *testing.B, prepare func(*Datapath)) {
	const batch = 500
	top := newTopology(b, 1)
	dp := openIn(b, top.lb, Options{})
	if err := dp.Sync(oneService(1)); err != nil {
		b.Fatal(err)
	}
	serve(top.tasks[0].listen(b, "0.0.0.0:9000"), func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
	conn, err := top.client.dial(front())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	time.Sleep(200 * time.Millisecond) // for the messages about neighbours; nothing tells that there are no more
	dp.mu.Lock()
	defer dp.mu.Unlock() // what is taken away stays away
	prepare(dp)
	best := time.Hour
	top.client.must(b, "send", func() error {
		fd, to, err := packetSocket()
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		// An old ACK, which the task answers twice a second at most.
		p := packet{src: conn.LocalAddr().(*net.TCPAddr).AddrPort(), dst: ap(front()), flags: ack, seq: 1, ack: 1}
		frame := p.frame(b)
		if err := addressFrame(frame, to); err != nil {
			return err
		}
		b.ResetTimer()
		for sent := 0; sent < b.N; sent += batch {
			start := time.Now()
			for range batch {
				if err := unix.Sendto(fd, frame, 0, to); err != nil {
					return err
				}
			}
			best = min(best, time.Since(start))
		}
		return nil
	})
	b.ReportMetric(float64(best.Nanoseconds())/batch, "ns/packet")
	b.ReportMetric(0, "ns/op")
}

// packetSocket is a raw socket on eth0 of the calling thread's namespace.
func packetSocket() (int, *unix.SockaddrLinklayer, error) {
	l, err := netlink.LinkByName("eth0")
	if err != nil {
		return 0, nil, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	return fd, &unix.SockaddrLinklayer{Ifindex: l.Attrs().Index}, err
}

// addressFrame writes the MACs of a frame to the balancer.
func addressFrame(frame []byte, to *unix.SockaddrLinklayer) error {
	entries, err := netlink.NeighList(to.Ifindex, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, n := range entries {
		if addr, _ := netip.AddrFromSlice(n.IP); addr.Unmap().String() == frontAddr {
			copy(frame, n.HardwareAddr)
		}
	}
	return nil
}
