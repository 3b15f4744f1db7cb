package proxy

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
	"waggle/pkg/lab/require"
)

// TestIdleClientsCostLittle: a client that waits between two requests, or has said nothing yet, has a session of a few
// hundred bytes, and neither transaction nor buffer.
func TestIdleClientsCostLittle(t *testing.T) {
	if size := unsafe.Sizeof(session{}); size > 416 {
		t.Errorf("a session takes %d bytes, want at most 416, which is a size of Go's allocator", size)
	}
	const clients = 50
	w := start(t, []netip.AddrPort{named(t, "a")})
	for i := range clients {
		c := w.dial()
		if i%2 == 0 {
			c.send("GET / HTTP/1.1\r\nHost: t\r\n\r\n")
			c.response("GET")
		}
	}
	eventually(t, "all are idle", func() bool {
		idle := 0
		w.onLoop(func(wk *worker) {
			for s := wk.sessions; s != nil; s = s.next {
				if s.transaction == nil && s.client.in.data == nil && s.client.out.data == nil {
					idle++
				}
			}
		})
		return idle == clients
	})
	w.onLoop(func(wk *worker) {
		if n := len(wk.transactions.list); n != 1 { // one request was made at a time
			t.Errorf("%d transactions are there, want 1", n)
		}
	})
}

// TestSweepSparesWhatIsMissed drops half of what lay there all the time, and never the last few.
func TestSweepSparesWhatIsMissed(t *testing.T) {
	var s spare[int]
	for i := range 100 {
		s.put(i)
	}
	var dropped []int
	drop := func(i int) { dropped = append(dropped, i) }
	sweep := func(want int) {
		t.Helper()
		if s.sweep(drop); len(s.list) != want {
			t.Errorf("%d are left, want %d", len(s.list), want)
		}
	}
	sweep(100) // learns what there is
	for range 80 {
		if _, ok := s.take(); !ok {
			t.Fatal("nothing is there")
		}
	}
	for i := 20; i < 100; i++ {
		s.put(i)
	}
	sweep(90) // 20 were not missed
	if want := "[0 1 2 3 4 5 6 7 8 9]"; fmt.Sprint(dropped) != want {
		t.Errorf("dropped %v, want %s, the oldest", dropped, want)
	}
	for _, want := range []int{45, 22, 16, 16} {
		sweep(want)
	}
	if v, ok := s.take(); !ok || v != 99 {
		t.Errorf("took %d, want 99, the last", v)
	}
}

// TestBuffersGoBackToTheKernel, and what is in use stays as it was, also where buffers are no multiple of a page.
func TestBuffersGoBackToTheKernel(t *testing.T) {
	for _, size := range []int{16384, 5000, 3 << 20} {
		s := buffers{size: size}
		held := make([]buffer, 40)
		for i := range held {
			s.borrow(&held[i])
			if len(held[i].data) != size {
				t.Fatalf("a buffer of %d bytes, want %d", len(held[i].data), size)
			}
			for j := range held[i].data {
				held[i].data[j] = byte(i)
			}
		}
		full := s.resident(t)
		for i := range held {
			if i%2 == 0 {
				s.giveBack(&held[i])
			}
		}
		s.sweep() // learns what there is
		s.sweep()
		stride := (size + os.Getpagesize() - 1) / os.Getpagesize() * os.Getpagesize()
		if got, want := full-s.resident(t), 4*stride; got != want { // 20, less those that stay
			t.Errorf("size %d: %d bytes have gone back, want %d", size, got, want)
		}
		for i := 1; i < len(held); i += 2 {
			for _, b := range held[i].data {
				if b != byte(i) {
					t.Fatalf("size %d: buffer %d has changed", size, i)
				}
			}
			s.giveBack(&held[i])
		}
		s.close()
	}
}

// resident is how much memory the storage takes.
func (s *buffers) resident(t *testing.T) int {
	t.Helper()
	pages := 0
	for _, slab := range s.slabs {
		in := make([]byte, (len(slab)+os.Getpagesize()-1)/os.Getpagesize())
		_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&slab[0])), uintptr(len(slab)), uintptr(unsafe.Pointer(&in[0])))
		if errno != 0 {
			t.Fatal(errno)
		}
		for _, b := range in {
			pages += int(b & 1)
		}
	}
	return pages * os.Getpagesize()
}

// TestRequestsAllocateNothing on a connection that is kept, with what a usual configuration has a request do.
func TestRequestsAllocateNothing(t *testing.T) {
	require.NoRace(t, "it counts allocations")
	var logged atomic.Int64
	w := start(t, []netip.AddrPort{silentServer(t)}, func(s *Setup, fe, be *config.Proxy) {
		fe.Logs = []config.LogTarget{{}}
		fe.Options.HTTPLog = true
		be.Options.ForwardFor = &config.ForwardFor{}
		fe.HTTPRequest = []config.HTTPRule{{Action: config.ActionSetHeader, Target: "x-forwarded-proto", Value: "http"}}
		be.HTTPResponse = []config.HTTPRule{{Action: config.ActionDelHeader, Target: "server"}}
		s.Access = func(*config.Proxy, *accesslog.Entry) { logged.Add(1) }
	})
	c, err := net.Dial("tcp", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	request, answer := []byte("GET /some/path?query HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n"), make([]byte, 1024)
	ask := func(n int) {
		for range n {
			if _, err := c.Write(request); err != nil {
				t.Fatal(err)
			}
			for got := 0; got == 0 || answer[got-1] != 'k'; {
				n, err := c.Read(answer[got:])
				if err != nil {
					t.Fatalf("got %q, %v", answer[:got], err)
				}
				got += n
			}
		}
	}
	ask(100)
	const requests = 2000
	allocateNothing(t, requests, ask)
	if n := logged.Load(); n < requests {
		t.Errorf("%d requests were logged", n)
	}
}

// silentServer answers whatever comes in one piece, and allocates nothing for it.
func silentServer(t *testing.T) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		answer, in := []byte("HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 2\r\n\r\nok"), make([]byte, 4096)
		for {
			if _, err := c.Read(in); err != nil {
				return
			}
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// allocateNothing fails if so many requests allocate. A few come from elsewhere: the runtime, the engine's other goroutines, a timer of
// the loop; sometimes more, but not each time.
func allocateNothing(t *testing.T, requests int, ask func(n int)) {
	t.Helper()
	if n, size := allocated(func() { ask(requests) }, uint64(requests/20)); n > uint64(requests/20) {
		t.Errorf("%d requests made %d allocations (%d bytes), want none", requests, n, size)
	}
}

// allocated is how often, and how much, a function allocates, while others do so, too: of several tries the least, or one that is
// good enough.
func allocated(f func(), enough uint64) (least, size uint64) {
	least = math.MaxUint64
	for try := 0; try < 5 && least > enough; try++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		if n := after.Mallocs - before.Mallocs; n < least {
			least, size = n, after.TotalAlloc-before.TotalAlloc
		}
	}
	return least, size
}
