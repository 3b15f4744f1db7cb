package adapter

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"waggle/pkg/proxy/sock"
)

// relayClient moves what a client says in HTTP/1, or in a protocol that is not ours, to the loop and back.
func (f *Front) relayClient(conn net.Conn, raw *Conn, info Info, door Door) {
	p, end, fd, err := newPair(info)
	if err != nil {
		f.s.Logger.Warn("cannot serve a connection", "client", info.Src, "error", err)
		return
	}
	defer end.Close()
	p.closing = func() {
		now := time.Now()
		_ = raw.SetReadDeadline(now) // nobody wants more
		_ = raw.SetWriteDeadline(now.Add(f.patience()))
	}
	if !door.Attach(fd, p) {
		sock.Close(fd)
		return
	}
	relay(conn, raw, end, p, f.patience())
}

// relay moves bytes both ways between a TLS connection over raw and the adapter's end of a pair, until both directions
// have ended. patience is how long a write to the peer may take once the loop has closed its end.
func relay(conn net.Conn, raw, end *Conn, p *Pair, patience time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		inward(conn, end, p)
	}()
	if err := outward(conn, end, p, patience); err != nil {
		p.reset.Store(true)
		_ = end.Close()
		raw.Reset()
	}
	if p.aborted.Load() {
		raw.Reset()
	}
	<-done
}

// outward moves what the loop writes to the peer, and the end of it.
func outward(conn net.Conn, end *Conn, p *Pair, patience time.Duration) error {
	from, err := newPooledReader(end)
	if err != nil {
		return err
	}
	for {
		buf, n, err := from.read()
		if err != nil {
			if !p.aborted.Load() {
				closeWrite(conn)
			}
			return nil // the loop's end is closed, or ours because the peer was lost
		}
		if p.closed.Load() {
			_ = conn.SetWriteDeadline(time.Now().Add(patience))
		}
		_, err = conn.Write(buf[:n])
		buffers.Put(buf)
		if err != nil {
			return err
		}
	}
}

// closeWrite says that nothing more will come: the alert close_notify and FIN.
func closeWrite(conn net.Conn) {
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = c.CloseWrite()
	}
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok {
		if raw, ok := c.NetConn().(*Conn); ok {
			raw.CloseWrite()
		}
	}
}

// smallRead is what an idle connection is read with, so that it holds no large buffer.
const smallRead = 512

// inward moves what the peer says to the loop, and the end of it. A peer that closes without close_notify has ended
// its stream, as for HAProxy (SSL_OP_IGNORE_UNEXPECTED_EOF).
func inward(conn net.Conn, end *Conn, p *Pair) {
	var small [smallRead]byte
	var large *[bufferSize]byte
	defer func() {
		if large != nil {
			buffers.Put(large)
		}
	}()
	for {
		buf := small[:]
		if large != nil {
			buf = large[:]
		}
		n, err := conn.Read(buf)
		if n > 0 {
			if _, werr := end.Write(buf[:n]); werr != nil {
				return // the loop has closed its end
			}
		}
		if err != nil {
			ended(err, end, p)
			return
		}
		switch {
		case large == nil && n == smallRead:
			large = buffers.Get().(*[bufferSize]byte)
		case large != nil && n <= smallRead:
			buffers.Put(large)
			large = nil
		}
	}
}

// ended passes the end of what a peer says on to the loop.
func ended(err error, end *Conn, p *Pair) {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		end.CloseWrite()
	case errors.Is(err, os.ErrDeadlineExceeded) && p.closed.Load(): // the loop's doing
	default:
		p.reset.Store(true)
		_ = end.Close()
	}
}
