package accesslog

import (
	"cmp"
	"context"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	// defaultRingTimeout is of connecting and of each write where the section says nothing. HAProxy would wait for ever.
	defaultRingTimeout = 10 * time.Second
	// ringRetry is between two attempts to reach a server.
	ringRetry = time.Second
	// ringBatch is how many bytes are written at once.
	ringBatch = 16 << 10
)

// ringSender brings the lines of a ring to one server. A line counts as sent when the kernel has taken it; when a
// connection breaks in the middle of a write, its lines go out again over the next one.
type ringSender struct {
	ring   *Ring
	server RingServer
	at     Cursor // what is before it has been sent
}

// run sends until ctx ends, and then what is left, if the server is there.
func (s *ringSender) run(ctx context.Context) {
	defer func() { s.ring.dropped.Add(s.ring.Newest().line - s.at.line) }()
	for ctx.Err() == nil {
		dialer := net.Dialer{Timeout: cmp.Or(s.ring.cfg.ConnectTimeout, defaultRingTimeout)}
		conn, err := dialer.DialContext(ctx, "tcp", s.server.Address)
		if err == nil {
			s.feed(ctx, conn)
		}
		select {
		case <-ctx.Done():
		case <-time.After(ringRetry):
		}
	}
}

// feed writes lines to conn, which it closes, until that fails, the server leaves or ctx ends.
func (s *ringSender) feed(ctx context.Context, conn net.Conn) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_, _ = io.Copy(io.Discard, conn) // servers have nothing to say; this ends with the connection
	}()
	hurry := func() { conn.SetWriteDeadline(time.Now().Add(flushPatience)) }
	late := context.AfterFunc(ctx, hurry) // also for a write that waits already
	defer func() {
		late()
		conn.Close()
		<-gone
	}()
	var batch []byte
	for {
		var next Cursor
		batch, next = s.batch(batch[:0])
		switch {
		case len(batch) > 0:
			if ctx.Err() == nil {
				conn.SetWriteDeadline(time.Now().Add(cmp.Or(s.ring.cfg.ServerTimeout, defaultRingTimeout)))
				if ctx.Err() != nil { // since
					hurry()
				}
			}
			if _, err := conn.Write(batch); err != nil {
				return
			}
			s.at = next
		case ctx.Err() != nil:
			return
		default:
			select {
			case <-s.ring.More(next):
			case <-gone:
				return
			case <-ctx.Done():
			}
		}
	}
}

// batch appends lines as the server wants them, and gives the place behind them.
func (s *ringSender) batch(dst []byte) ([]byte, Cursor) {
	var line []byte
	at := s.at
	for len(dst) < ringBatch {
		text, from, next, ok := s.ring.Next(at, line[:0])
		if lost := from.line - at.line; lost > 0 {
			if len(dst) > 0 {
				break // what there is goes out first
			}
			s.ring.dropped.Add(lost)
			s.at = from
		}
		if !ok {
			break
		}
		if line, at = text, next; s.server.OctetCount {
			dst = append(strconv.AppendInt(dst, int64(len(line)), 10), ' ')
			dst = append(dst, line...)
		} else {
			dst = append(append(dst, line...), '\n')
		}
	}
	return dst, at
}
