package loop

import (
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// wait collects events. It looks without blocking first: under load there is nearly always something, and the
// scheduler need not be told. Where events follow each other closely the next is worth a moment in the kernel that Go's
// runtime knows nothing of: told of each of these waits it takes the loop's place to run away after 20 µs, gives it back
// soon after, and its monitor wakes up all the while, which together was a tenth of the time of requests.
func (l *Loop) wait() int {
	if n, e := l.look(0); e == 0 && n > 0 {
		return n
	}
	if len(l.again) > 0 {
		return 0
	}
	began := time.Since(l.start)
	l.waiting.Store(int64(began))
	n := l.waitFrom(began)
	l.waiting.Store(0)
	l.idle.Add(int64(time.Since(l.start) - began))
	return n
}

// waitFrom blocks until there are events, a timer is due, or another goroutine wakes the loop.
func (l *Loop) waitFrom(began time.Duration) int {
	timeout := l.timers.timeout(began)
	if l.lively {
		if n, e := l.look(briefly(timeout)); n > 0 || e != 0 { // EINTR: the runtime wants to stop us
			return n
		}
		l.lively = false
		timeout = l.timers.timeout(time.Since(l.start))
	}
	n, err := unix.EpollWait(l.epfd, l.events[:], timeout)
	if err != nil { // EINTR: timers are looked at, then we are back
		return 0
	}
	l.lively = l.mayHold && time.Since(l.start)-began < moment*time.Millisecond
	if n == 0 {
		l.counts.Idle++
	}
	return n
}

// moment is for how many milliseconds at most the runtime is not told that the loop waits. A collection of garbage
// does not wait for that: it interrupts the call by a signal.
const moment = 1

// briefly is as much of a timeout, -1 for none, as fits into a moment.
func briefly(timeout int) uintptr {
	if timeout < 0 {
		return moment
	}
	return uintptr(min(timeout, moment))
}

// look asks the kernel for events, and waits for them for so many milliseconds.
func (l *Loop) look(milliseconds uintptr) (n int, errno unix.Errno) {
	r, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(l.epfd), uintptr(unsafe.Pointer(&l.events)), batch, milliseconds, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(r), 0
}
