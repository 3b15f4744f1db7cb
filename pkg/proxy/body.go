package proxy

import (
	"math"

	"golang.org/x/sys/unix"

	"waggle/pkg/proxy/h1"
	"waggle/pkg/proxy/sock"
)

// spliceFrom is how many bytes must be left to make a pipe worth its system calls.
const spliceFrom = 64 << 10

// bulkRead is how much a call must have moved for the next one to be worth a pipe.
const bulkRead = 16 << 10

// spliceRound bounds what one call moves, for fairness among the sessions of a loop.
const spliceRound = 1 << 20

// stream is one direction of payload from one conn to another: the body of a message, or one half of a
// tunnel. The zero value has nothing to move and is done.
type stream struct {
	framing h1.Framing
	left    int64 // of Length; otherwise unused
	chunked h1.Chunked
	dechunk bool // send the payload of chunks bare
	open    bool // the end has not been reached
	cut     bool // the source ended too early
	bad     h1.Reason
	bulk    bool // so much has come at once that a pipe is worth it
	pipe    *sock.Pipe
	coding  *coding // nil: the payload stays as it is
}

// begin starts a body.
func (s *stream) begin(f h1.Framing, length int64) {
	*s = stream{framing: f, left: length, open: f != h1.BodyNone}
}

// complete says whether all of the stream has been taken from its source. What follows a stream that is
// not complete belongs to it still, and must never be taken for the next message (RFC 9112, section 9.3).
func (s *stream) complete() bool { return !s.open && !s.cut && s.bad == h1.OK }

// step is the outcome of moving.
type step uint8

const (
	stuck step = iota // nothing can be done before an event
	moved             // something was done, and more may be possible
)

// move does one piece of work: moves what src holds from offset at on, or reads more. *at is advanced by
// what was taken; whoever owns src drops it from there.
func (s *stream) move(src, dst *conn, at *int) step {
	if !s.open {
		return stuck
	}
	if src.in.len() > *at {
		if s.coding != nil {
			return s.encode(src, dst, at)
		}
		return s.copyOut(src, dst, at)
	}
	if s.bounded() && s.left == 0 && s.pipe == nil { // Length has been reached by splicing
		s.open = false
		return moved
	}
	if s.piping() && s.spliceable() >= spliceFrom && src.lane == nil && dst.lane == nil || s.pipe != nil {
		if st, ok := s.splice(src, dst); ok {
			return st
		}
	}
	return s.read(src)
}

func (s *stream) bounded() bool { return s.framing == h1.BodyLength }

// piping says whether splicing is worth a try for this kind of stream.
func (s *stream) piping() bool { return s.coding == nil && (s.bounded() || s.bulk) }

// spliceable is how many payload bytes may go by unseen.
func (s *stream) spliceable() int64 {
	switch s.framing {
	case h1.BodyLength:
		return s.left
	case h1.BodyChunked:
		return s.chunked.Remaining()
	default:
		return math.MaxInt64
	}
}

func (s *stream) read(src *conn) step {
	if src.fill() {
		s.bulk = s.bulk || src.in.room() == 0
		if !src.eof {
			return moved
		}
	}
	if src.eof && src.in.len() == 0 {
		s.open = false
		s.cut = src.broken || s.framing == h1.BodyLength || s.framing == h1.BodyChunked
		return moved
	}
	return stuck
}

// copyOut moves bytes from src's input to dst's output.
func (s *stream) copyOut(src, dst *conn, at *int) step {
	if dst.fd < 0 || dst.lost {
		return s.discard(src, at)
	}
	if !dst.reserve(1) {
		return stuck
	}
	b := src.in.bytes()[*at:]
	b = b[:min(len(b), dst.out.room())]
	n := s.take(dst, b)
	if s.bad != h1.OK {
		s.open = false
		return moved
	}
	*at += n
	dst.send()
	return moved
}

// take appends the part of b that belongs to the stream to dst's output and returns how much of b is used.
func (s *stream) take(dst *conn, b []byte) int {
	out := dst.out.data[:dst.out.w]
	n := len(b)
	switch {
	case s.framing == h1.BodyLength:
		n = int(min(int64(n), s.left))
		s.left -= int64(n)
		s.open = s.left > 0
	case s.framing == h1.BodyChunked && s.dechunk:
		var done bool
		out, n, done, s.bad = s.chunked.AppendPayload(out, b)
		s.open = !done
		dst.out.w = len(out)
		return n
	case s.framing == h1.BodyChunked:
		var done bool
		n, done, s.bad = s.chunked.Scan(b)
		s.open = !done
	}
	dst.out.w = len(append(out, b[:n]...))
	return n
}

// discard takes what nobody can be given any more, so that the source can be used again or ends.
func (s *stream) discard(src *conn, at *int) step {
	*at = src.in.len()
	s.open = false
	s.cut = true
	return moved
}

// splice moves payload through a pipe. ok is false when no pipe is to be had, and the stream is copied.
func (s *stream) splice(src, dst *conn) (st step, ok bool) {
	if dst.fd < 0 || dst.lost {
		s.open, s.cut = false, true
		return moved, true
	}
	if dst.out.len() > 0 && !dst.push() {
		dst.starved = true
		return stuck, true
	}
	if s.pipe == nil {
		if !src.canRead || src.eof {
			return stuck, !src.eof // the end may have been read while something else was waited for, and be reported again
		}
		if s.pipe = src.w.pipes.get(); s.pipe == nil {
			return stuck, false
		}
	}
	st = stuck
	if s.fillPipe(src) {
		st = moved
	}
	if s.drainPipe(src, dst) {
		st = moved
	}
	if s.pipe.Len() == 0 && (st == stuck || !s.open || s.spliceable() == 0) {
		src.w.pipes.put(s.pipe)
		s.pipe = nil
	}
	return st, true
}

func (s *stream) fillPipe(src *conn) bool {
	room := min(s.spliceable(), spliceRound) - int64(s.pipe.Len())
	if s.bounded() || s.framing == h1.BodyChunked {
		room = min(s.spliceable(), spliceRound) // what is inside has been taken off already
	}
	if !src.canRead || src.eof || room <= 0 {
		return false
	}
	n, errno := s.pipe.Fill(src.fd, int(room))
	switch {
	case errno == unix.EAGAIN:
		if s.pipe.Len() == 0 { // otherwise the pipe may be what is full
			src.canRead = false
		}
		return false
	case errno != 0:
		src.fail()
		s.open, s.cut = s.pipe.Len() > 0, true
		return true
	case n == 0:
		src.eof, src.canRead = true, false
		return true
	}
	src.got += int64(n)
	src.active = true
	switch s.framing {
	case h1.BodyLength:
		s.left -= int64(n)
	case h1.BodyChunked:
		s.chunked.Skip(int64(n))
	default:
		s.bulk = n >= bulkRead // what comes in small pieces is cheaper to copy
	}
	return true
}

func (s *stream) drainPipe(src, dst *conn) bool {
	if s.pipe.Len() == 0 {
		s.endPiped(src)
		return !s.open
	}
	if !dst.canWrite {
		return false
	}
	n, errno := s.pipe.Drain(dst.fd, s.framing == h1.BodyLength && s.left > 0)
	switch {
	case errno == unix.EAGAIN:
		dst.canWrite = false
		return false
	case errno != 0:
		dst.lose()
		s.open, s.cut = false, true
		return true
	}
	dst.given += int64(n)
	dst.active = true
	src.w.pipes.moved.Add(uint64(n))
	if s.pipe.Len() == 0 {
		s.endPiped(src)
	}
	return true
}

// endPiped notices the end of a stream whose last bytes went through the pipe.
func (s *stream) endPiped(src *conn) {
	switch {
	case s.framing == h1.BodyLength && s.left == 0:
		s.open = false
	case src.eof:
		s.open = false
		s.cut = s.cut || src.broken || s.framing == h1.BodyLength || s.framing == h1.BodyChunked
	}
}

// waiting says whether bytes are under way inside a pipe.
func (s *stream) waiting() bool { return s.pipe != nil && s.pipe.Len() > 0 }

// drop gives the pipe back, or closes it when something is left inside.
func (s *stream) drop(w *worker) {
	if s.pipe == nil {
		return
	}
	if s.pipe.Len() > 0 {
		w.pipes.discard(s.pipe)
	} else {
		w.pipes.put(s.pipe)
	}
	s.pipe = nil
}
