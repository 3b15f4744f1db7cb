package loop

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

const patience = 10 * time.Second

// running starts a loop that ends with the test.
func running(t *testing.T) *Loop { return startLoop(t, func(*Loop) {}) }

func startLoop(t *testing.T, prepare func(*Loop)) *Loop {
	t.Helper()
	ignore := goleak.IgnoreCurrent()
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	prepare(l)
	done := make(chan struct{})
	go func() { l.Run(); close(done) }()
	t.Cleanup(func() {
		l.Stop()
		<-done
		goleak.VerifyNone(t, ignore)
	})
	return l
}

// on runs fn on the loop and waits for it.
func on(t *testing.T, l *Loop, fn func()) {
	t.Helper()
	done := make(chan struct{})
	if !l.Post(func() { fn(); close(done) }) {
		t.Fatal("the loop has stopped")
	}
	wait(t, done)
}

func wait(t *testing.T, ch <-chan struct{}) {
	t.Helper()
	select {
	case <-ch:
	case <-time.After(patience):
		t.Fatal("waited in vain")
	}
}

func pair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fds[1]) })
	return fds[0], fds[1]
}

type handler func(Events)

func (h handler) Ready(e Events) { h(e) }

type runner func()

func (r runner) Run()     { r() }
func (r runner) Flushed() { r() }

func (runner) Waiting() (fd int, b []byte) { return -1, nil }

func (runner) Written(int, unix.Errno) {}

func TestPostedInOrderFromManyGoroutines(t *testing.T) {
	l := running(t)
	const each = 1000
	var got [4][]int
	var all sync.WaitGroup
	for g := range got {
		all.Go(func() {
			for i := range each {
				l.Post(func() { got[g] = append(got[g], i) })
			}
		})
	}
	all.Wait()
	on(t, l, func() {})
	for g := range got {
		if len(got[g]) != each || !slices.IsSorted(got[g]) {
			t.Errorf("goroutine %d: %d ran, sorted %v", g, len(got[g]), slices.IsSorted(got[g]))
		}
	}
}

func TestPostAfterStopIsRefused(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	ran := false
	l.Post(func() { ran = true })
	l.Stop()
	l.Run()
	if !ran {
		t.Error("what was posted before did not run")
	}
	if l.Post(func() {}) {
		t.Error("a post to a stopped loop was taken")
	}
}

func TestEvents(t *testing.T) {
	l := running(t)
	a, b := pair(t)
	events := make(chan Events, 10)
	on(t, l, func() {
		if err := l.Add(a, handler(func(e Events) { events <- e })); err != nil {
			t.Error(err)
		}
	})
	if e := <-events; !e.Writable() || e.Readable() {
		t.Errorf("a fresh socket is %b", e)
	}
	_, _ = unix.Write(b, []byte("x"))
	if e := <-events; !e.Readable() || e.Broken() {
		t.Errorf("with data it is %b", e)
	}
	_ = unix.Shutdown(b, unix.SHUT_RDWR)
	if e := <-events; !e.Readable() || !e.Broken() {
		t.Errorf("shut it is %b", e)
	}
	on(t, l, func() { l.Forget(a); _ = unix.Close(a) })
}

// TestDescriptorReusedWithinBatch: an event that was fetched for a closed descriptor must not reach the one
// that has got its number.
func TestDescriptorReusedWithinBatch(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, _ := pair(t)
	c, _ := pair(t)
	var heirs []int
	strayed := false
	// Whichever of the two comes first closes the other and opens a new socket in its place.
	replace := func(victim int) handler {
		return func(Events) {
			if len(heirs) > 0 {
				return
			}
			l.Forget(victim)
			_ = unix.Close(victim)
			heir, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
			if err != nil || heir != victim {
				t.Errorf("got descriptor %d, %v; want %d", heir, err, victim)
			}
			heirs = append(heirs, heir)
			if err := l.Add(heir, handler(func(Events) { strayed = true })); err != nil {
				t.Error(err)
			}
		}
	}
	if err := l.Add(a, replace(c)); err != nil {
		t.Fatal(err)
	}
	if err := l.Add(c, replace(a)); err != nil {
		t.Fatal(err)
	}
	l.round()
	if strayed {
		t.Error("the event of a closed descriptor reached its successor")
	}
	for _, fd := range []int{a, c} {
		_ = unix.Close(fd)
	}
}

// TestFlushOrder: all of the servers' rank come before the clients', and what flushes queue is flushed in the same round
// behind them.
func TestFlushOrder(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var order []string
	note := func(s string, more func()) runner {
		return func() {
			order = append(order, s)
			if more != nil {
				more()
			}
		}
	}
	l.Defer(Clients, 0, note("c1", func() { l.Defer(Servers, 0, note("s3", nil)) }))
	l.Defer(Servers, 0, note("s1", nil))
	l.Defer(Clients, 0, note("c2", nil))
	l.Defer(Servers, 0, note("s2", func() { l.Defer(Clients, 0, note("c3", nil)) }))
	l.Again(note("again", nil))
	l.round()
	want := []string{"again", "s1", "s2", "c1", "c2", "s3", "c3"}
	if !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
}

// TestFlushGroups: what goes to one server is written in a row, in the order in which it came.
func TestFlushGroups(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var order []string
	for i, server := range []uint32{2, 1, 3, 2, 1, 3, 2} {
		name := fmt.Sprint(server, "-", i)
		l.Defer(Servers, server, runner(func() { order = append(order, name) }))
	}
	l.Again(runner(func() {}))
	l.round()
	if want := []string{"1-1", "1-4", "2-0", "2-3", "2-6", "3-2", "3-5"}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
}

// message is to be written to a socket.
type message struct {
	fd      int
	b       []byte
	n       int
	errno   unix.Errno
	flushed bool
	others  []*message
	early   bool // Flushed was called before all others had been told
}

func (m *message) Waiting() (fd int, b []byte) { return m.fd, m.b }

func (m *message) Written(n int, errno unix.Errno) { m.n, m.errno, m.b = n, errno, nil }

func (m *message) Flushed() {
	m.flushed = true
	for _, o := range m.others {
		m.early = m.early || o.b != nil
	}
}

// TestWrites: what is deferred is written, to more sockets than fit into a call too, each is told what came of its own
// write, and none acts before all have been told. It is the same where the kernel takes only one write in a call.
func TestWrites(t *testing.T) {
	for _, many := range []bool{true, false} {
		l, err := New()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if l.Slow() != nil {
			t.Fatal(l.Slow())
		}
		if !many {
			l.many.Close()
			l.many = nil
		}
		full, _ := pair(t)
		for junk := make([]byte, 1<<16); ; {
			if _, err := unix.Write(full, junk); err != nil {
				break
			}
		}
		shut, peer := pair(t)
		_ = unix.Shutdown(peer, unix.SHUT_RD)
		var all []*message
		var peers []int
		for i := range 150 {
			a, b := pair(t)
			peers = append(peers, b)
			all = append(all, &message{fd: a, b: fmt.Appendf(nil, "to %d", i)})
		}
		all[10].fd, all[20].fd, all[30].fd = full, shut, -1
		all[40].b = nil
		for i, m := range all {
			m.others = all
			l.Defer(Rank(i%2), uint32(i%3), m)
		}
		l.Again(runner(func() {}))
		l.round()
		for i, m := range all {
			wantN, wantErrno := len(fmt.Sprint("to ", i)), unix.Errno(0)
			switch i {
			case 10:
				wantN, wantErrno = 0, unix.EAGAIN
			case 20:
				wantN, wantErrno = 0, unix.EPIPE
			case 30:
				wantN, wantErrno = 0, unix.EBADF
			case 40:
				wantN = 0
			}
			if m.n != wantN || m.errno != wantErrno || !m.flushed || m.early {
				t.Errorf("many %t, message %d: %d bytes, %v, flushed %t, early %t; want %d bytes, %v", many, i, m.n, m.errno, m.flushed, m.early, wantN, wantErrno)
			}
			got := make([]byte, 10)
			n, _ := unix.Read(peers[i], got)
			if want := fmt.Sprint("to ", i); wantN > 0 && string(got[:max(n, 0)]) != want {
				t.Errorf("many %t: the peer of %d has read %q", many, i, got[:max(n, 0)])
			}
			if m.fd >= 0 {
				_ = unix.Close(m.fd)
			}
		}
	}
}

// TestBatchScheduling: the loop's thread is one that does not preempt others when it is woken.
func TestBatchScheduling(t *testing.T) {
	l := running(t)
	var policy uintptr
	on(t, l, func() { policy, _, _ = unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, 0, 0, 0) })
	if policy != unix.SCHED_BATCH {
		t.Errorf("policy %d", policy)
	}
}

// TestAgainDoesNotSleep: put-off work runs in the next round although nothing happens, and may put itself off.
func TestAgainDoesNotSleep(t *testing.T) {
	l := running(t)
	done := make(chan struct{})
	n := 0
	var r runner
	r = func() {
		if n++; n == 100 {
			close(done)
			return
		}
		l.Again(r)
	}
	l.Post(func() { l.Again(r) })
	wait(t, done)
}

func TestTimerWakesTheLoop(t *testing.T) {
	l := running(t)
	fired := make(chan struct{})
	on(t, l, func() { l.Arm(&Timer{Owner: Func(func() { close(fired) })}, 5*time.Millisecond) })
	wait(t, fired)
}

// echo answers each byte that comes, and has the loop hold its place for the next.
type echo struct {
	l  *Loop
	fd int
}

func (e *echo) Ready(Events) {
	e.l.lively = true
	var b [1]byte
	for {
		if n, err := unix.Read(e.fd, b[:]); n != 1 || err != nil {
			return
		}
		_, _ = unix.Write(e.fd, b[:])
	}
}

// A loop that has much to do keeps its place to run for a moment while it waits. Even if it is the only one, others get
// their turn, and a collection of garbage need not wait.
func TestHoldingLoopLetsOthersRun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	l := startLoop(t, func(l *Loop) { l.Hold(true) })
	a, b := pair(t)
	on(t, l, func() {
		if err := l.Add(a, &echo{l, a}); err != nil {
			t.Error(err)
		}
	})
	_ = unix.SetNonblock(b, false)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 50 {
			if _, err := unix.Write(b, []byte{1}); err != nil {
				t.Error(err)
				return
			}
			if i%10 == 0 {
				runtime.GC()
			}
			var got [1]byte
			if n, err := unix.Read(b, got[:]); n != 1 || err != nil {
				t.Error(n, err)
				return
			}
		}
	}()
	wait(t, done)
	on(t, l, func() {
		l.Forget(a)
		_ = unix.Close(a)
	})
}

// A timer that is due soon is not late because the loop holds its place.
func TestHoldingLoopKeepsTime(t *testing.T) {
	for _, timeout := range []int{-1, 0, 1, 2, 1000} {
		want := uintptr(1)
		if timeout == 0 {
			want = 0
		}
		if got := briefly(timeout); got != want {
			t.Errorf("of %d ms %d are waited, want %d", timeout, got, want)
		}
	}
}

// A loop that waits is idle from the moment on at which it began to; one that works is not.
func TestIdleTime(t *testing.T) {
	l := running(t)
	on(t, l, func() {})
	before := l.IdleTime()
	for end := time.Now().Add(patience); l.IdleTime() <= before+time.Millisecond; { // the wait is not over
		if time.Now().After(end) {
			t.Fatal("it waits and is not idle")
		}
		time.Sleep(time.Millisecond)
	}
	working, rest := make(chan struct{}), make(chan struct{})
	l.Post(func() { close(working); <-rest })
	wait(t, working)
	idle := l.IdleTime()
	time.Sleep(5 * time.Millisecond)
	if got := l.IdleTime(); got != idle {
		t.Errorf("it works and was idle for %v meanwhile", got-idle)
	}
	close(rest)
	if all := time.Since(l.start); idle > all {
		t.Errorf("idle for %v of %v", idle, all)
	}
}
