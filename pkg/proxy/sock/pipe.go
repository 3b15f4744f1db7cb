package sock

import (
	"errors"

	"golang.org/x/sys/unix"
)

// PipeSize is what a pipe is asked to hold; the kernel may grant less (fs.pipe-user-pages-soft).
const PipeSize = 1 << 20

// Pipe carries bytes from one socket to another without a copy into user space.
type Pipe struct {
	r, w int
	n    int // bytes inside
}

// NewPipe returns an empty pipe. The caller closes it.
func NewPipe() (*Pipe, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return nil, err
	}
	// A smaller pipe works too, only slower.
	_, _ = unix.FcntlInt(uintptr(fds[0]), unix.F_SETPIPE_SZ, PipeSize)
	return &Pipe{r: fds[0], w: fds[1]}, nil
}

// Close closes the pipe and drops what is inside.
func (p *Pipe) Close() {
	Close(p.r)
	Close(p.w)
}

// Len is the number of bytes inside.
func (p *Pipe) Len() int { return p.n }

const spliceFlags = unix.SPLICE_F_NONBLOCK | unix.SPLICE_F_MOVE

// Fill moves up to limit bytes from a socket into the pipe. n is 0 with errno 0 at the end of the stream;
// errno is EAGAIN when the socket has nothing or the pipe is full: with bytes inside, empty it first.
func (p *Pipe) Fill(fd, limit int) (n int, errno unix.Errno) {
	n, errno = splice(fd, p.w, limit, spliceFlags)
	p.n += n
	return n, errno
}

// Drain moves bytes out of the pipe, which must not be empty, into a socket. With more set the caller knows
// that other bytes follow at once.
func (p *Pipe) Drain(fd int, more bool) (n int, errno unix.Errno) {
	flags := spliceFlags
	if more {
		flags |= unix.SPLICE_F_MORE
	}
	n, errno = splice(p.r, fd, p.n, flags)
	p.n -= n
	return n, errno
}

func splice(from, to, limit, flags int) (int, unix.Errno) {
	for {
		n, err := unix.Splice(from, nil, to, nil, limit, flags)
		switch err {
		case nil:
			return int(n), 0
		case unix.EINTR:
			continue
		}
		var errno unix.Errno
		if !errors.As(err, &errno) {
			errno = unix.EIO
		}
		return 0, errno
	}
}
