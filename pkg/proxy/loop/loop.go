package loop

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"waggle/pkg/proxy/sock"
)

// Events is what epoll reports about a socket.
type Events uint32

// Readable says that reading may make progress or tell of the end.
func (e Events) Readable() bool {
	return e&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
}

// Writable says that writing may make progress or tell of an error.
func (e Events) Writable() bool { return e&(unix.EPOLLOUT|unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// Broken says that the connection is gone in both directions: reset, or shut by both sides.
func (e Events) Broken() bool { return e&(unix.EPOLLHUP|unix.EPOLLERR) != 0 }

// Handler is told of the events of one socket, on the loop's goroutine.
type Handler interface{ Ready(Events) }

// Runner is work that a handler puts off to the next round.
type Runner interface{ Run() }

// batch is the most events taken at once. It bounds for how long a write waits for its flush.
const batch = 128

// Loop is one event loop.
type Loop struct {
	epfd, wakefd int
	slots        []slot // by descriptor
	events       [batch]unix.EpollEvent
	timers       timers
	start        time.Time
	mayHold      bool // see Hold
	lively       bool // the last events came within a moment
	now          time.Duration
	flush        [ranks][]deferred
	many         *sock.Batch // nil where the kernel has none
	noMany       error       // why
	flushing     []deferred  // while flushes run
	written      []Flusher   // those of a call
	again, spare []Runner
	counts       Counts
	idle         atomic.Int64 // time in all waits that are over, in nanoseconds
	waiting      atomic.Int64 // since when it waits, in nanoseconds of its clock; 0: it works

	mu      sync.Mutex
	posted  []func()
	woken   bool
	stopped bool
	running []func() // storage of posted, swapped
}

// Counts is what a loop has done since it was made.
type Counts struct {
	Rounds uint64 // turns
	Busy   uint64 // those that began with events
	Idle   uint64 // waits that ended without any: a timer was due
	Woken  uint64 // rounds in which another goroutine had something to do
	Events uint64
	Posted uint64 // calls of other goroutines
}

// IdleTime is for how long the loop has had nothing to do since it was made, the wait that is under way included. It is safe for
// concurrent use; where a wait ends meanwhile it may be told twice or not at all.
func (l *Loop) IdleTime() time.Duration {
	idle := time.Duration(l.idle.Load())
	if since := l.waiting.Load(); since != 0 {
		idle += time.Since(l.start) - time.Duration(since)
	}
	return idle
}

// Counts may be called on the loop only.
func (l *Loop) Counts() Counts { return l.counts }

// slot says who handles a descriptor. gen tells an event of a descriptor that was closed and opened anew
// within one batch from one of its successor.
type slot struct {
	handler Handler
	gen     int32
}

// New returns a loop that is not running. The caller runs it by Run, which frees it, or frees it by Close.
func New() (*Loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create event loop: %w", os.NewSyscallError("epoll_create1", err))
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(epfd)
		return nil, fmt.Errorf("create event loop: %w", os.NewSyscallError("eventfd", err))
	}
	l := &Loop{epfd: epfd, wakefd: wakefd, start: time.Now()}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(wakefd), Pad: wakeGen}
	if err := unix.EpollCtl(epfd, unix.EPOLL_CTL_ADD, wakefd, &ev); err != nil {
		l.Close()
		return nil, fmt.Errorf("create event loop: %w", os.NewSyscallError("epoll_ctl", err))
	}
	l.many, l.noMany = sock.NewBatch()
	return l, nil
}

// wakeGen marks the event of the wake-up descriptor; generations of slots are never negative.
const wakeGen = -1

// Close frees a loop that was never run.
func (l *Loop) Close() {
	_ = unix.Close(l.epfd)
	_ = unix.Close(l.wakefd)
	if l.many != nil {
		l.many.Close()
	}
}

// Now is the loop's clock, read once a batch: the time since the loop was made, on the monotonic clock.
func (l *Loop) Now() time.Duration { return l.now }

// Skip sets the loop's clock forward by d, for tests of timers: whatever is due by then fires in the next round. It is called on
// the loop, and not while another goroutine asks for IdleTime.
func (l *Loop) Skip(d time.Duration) { l.start = l.start.Add(-d) }

// Clock reads the clock anew, for durations that are reported.
func (l *Loop) Clock() time.Duration { return time.Since(l.start) }

// Add registers a non-blocking socket for both directions, edge-triggered.
func (l *Loop) Add(fd int, h Handler) error {
	return l.add(fd, h, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLRDHUP|unix.EPOLLET)
}

// AddShared registers a descriptor for reading, level-triggered, of which other loops have duplicates: for listening sockets. An
// event wakes one of the loops that wait, or few (epoll_ctl(2), EPOLLEXCLUSIVE). Its registration ends by [Loop.Remove]
// only: closing the descriptor does not end it while there are duplicates.
func (l *Loop) AddShared(fd int, h Handler) error {
	return l.add(fd, h, unix.EPOLLIN|unix.EPOLLEXCLUSIVE)
}

func (l *Loop) add(fd int, h Handler, events uint32) error {
	for fd >= len(l.slots) {
		l.slots = append(l.slots, slot{})
	}
	s := &l.slots[fd]
	s.gen = (s.gen + 1) & 0x7fffffff
	ev := unix.EpollEvent{Events: events, Fd: int32(fd), Pad: s.gen}
	if e := l.ctl(unix.EPOLL_CTL_ADD, fd, &ev); e != 0 {
		return fmt.Errorf("register descriptor %d: %w", fd, os.NewSyscallError("epoll_ctl", e))
	}
	s.handler = h
	return nil
}

// Forget must be called before a registered descriptor is closed; the close ends the registration.
func (l *Loop) Forget(fd int) {
	l.slots[fd].handler = nil
	l.slots[fd].gen = (l.slots[fd].gen + 1) & 0x7fffffff
}

// Remove ends the registration of a descriptor that stays open.
func (l *Loop) Remove(fd int) {
	l.Forget(fd)
	var ev unix.EpollEvent
	l.ctl(unix.EPOLL_CTL_DEL, fd, &ev)
}

// Hand gives a registered descriptor to another handler.
func (l *Loop) Hand(fd int, h Handler) { l.slots[fd].handler = h }

func (l *Loop) ctl(op, fd int, ev *unix.EpollEvent) unix.Errno {
	_, _, e := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(l.epfd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return e
}

// Again runs r in the next round, after the events of that round. The loop does not sleep in between.
func (l *Loop) Again(r Runner) { l.again = append(l.again, r) }

// Post has fn run on the loop, from any goroutine. It reports false, and drops fn, when the loop has been
// told to stop.
func (l *Loop) Post(fn func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped {
		return false
	}
	l.posted = append(l.posted, fn)
	l.wake()
	return true
}

// Stop makes Run return after the round that it is in. What was posted before is still run.
func (l *Loop) Stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.stopped {
		l.stopped = true
		l.wake()
	}
}

// wake interrupts the wait. The lock is held, so the descriptor is open.
func (l *Loop) wake() {
	if l.woken {
		return
	}
	l.woken = true
	one := [8]byte{1}
	unix.RawSyscall(unix.SYS_WRITE, uintptr(l.wakefd), uintptr(unsafe.Pointer(&one)), 8)
}

// Slow tells why the loop has to write to one socket after the other instead of to many by one system call; nil if it has not.
func (l *Loop) Slow() error { return l.noMany }

// Hold says whether the loop may keep its place among those that run Go code (GOMAXPROCS) while it waits for a moment,
// which is cheaper by far. It is for where there are more places than loops, and where no goroutine waits for what the
// loop does. It is called on the loop, or before Run.
func (l *Loop) Hold(may bool) {
	l.mayHold = may
	l.lively = l.lively && may
}

// Run runs the loop on a thread of its own until Stop, and frees it.
func (l *Loop) Run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	scheduleBatch()
	for !l.round() {
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Close()
}

// scheduleBatch tells the scheduler that this thread need not preempt what runs when it is woken (sched(7),
// SCHED_BATCH). On a busy machine it then finds more events at once, and so wakes others less often. Where that is
// not allowed it is scheduled like any other thread.
func scheduleBatch() {
	var priority int32 // must be 0
	unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, unix.SCHED_BATCH, uintptr(unsafe.Pointer(&priority)))
}

func (l *Loop) round() (stop bool) {
	n := l.wait()
	l.now = time.Since(l.start)
	l.counts.Rounds++
	if n > 0 {
		l.counts.Busy++
		l.counts.Events += uint64(n)
	}
	woken := false
	for i := range n {
		ev := &l.events[i]
		if ev.Pad == wakeGen {
			woken = true
			continue
		}
		if s := l.slots[ev.Fd]; s.handler != nil && s.gen == ev.Pad {
			s.handler.Ready(Events(ev.Events))
		}
	}
	l.runAgain()
	if woken {
		l.counts.Woken++
		stop = l.runPosted()
	}
	l.timers.fire(l.now)
	l.runFlushes()
	return stop
}

func (l *Loop) runAgain() {
	if len(l.again) == 0 {
		return
	}
	run := l.again
	l.again = l.spare[:0]
	for i, r := range run {
		r.Run()
		run[i] = nil
	}
	l.spare = run[:0]
}

func (l *Loop) runPosted() (stop bool) {
	var b [8]byte
	unix.RawSyscall(unix.SYS_READ, uintptr(l.wakefd), uintptr(unsafe.Pointer(&b)), 8)
	l.mu.Lock()
	l.woken = false
	run := l.posted
	l.posted, l.running = l.running[:0], run
	stop = l.stopped
	l.mu.Unlock()
	l.counts.Posted += uint64(len(run))
	for i, fn := range run {
		fn()
		run[i] = nil
	}
	return stop
}
