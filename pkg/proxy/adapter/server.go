package adapter

import (
	"crypto/tls"
	"net/netip"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/proxy/sock"
)

// Target is what a TLS connection to a server is made to.
type Target struct {
	Addr    netip.AddrPort
	From    sock.Source
	Config  *tls.Config // not changed
	Name    string      // that the server is asked for; "" = none
	Preface []byte      // sent in clear text before the handshake: a PROXY header
	Timeout time.Duration
	Counter Counter
	// See sock.Tune.
	NoLinger    bool
	UserTimeout time.Duration
	// Congestion is the congestion control; "" is the default.
	Congestion string
}

// Outbound is a TLS connection to a server. The loop has its end of the pair at once, and may write when Run has told
// that the connection stands.
type Outbound struct {
	Pair *Pair
	t    Target
	raw  *Conn
	end  *Conn
	up   atomic.Bool
}

// Dial starts a connection to a server. fd is the loop's end of its pair, which the caller owns; it runs Run in a
// goroutine.
func Dial(t Target) (o *Outbound, fd int, errno unix.Errno) {
	sfd, errno := sock.Connect(t.Addr, t.Congestion, t.From)
	if errno != 0 {
		return nil, -1, errno
	}
	sock.Tune(sfd, t.NoLinger, t.UserTimeout)
	p, end, fd, err := newPair(Info{Dst: t.Addr})
	if err != nil {
		sock.Close(sfd)
		return nil, -1, unix.EMFILE
	}
	o = &Outbound{Pair: p, t: t, raw: NewConn(sfd, t.Addr, netip.AddrPort{}), end: end}
	p.closing = o.closing
	if t.Timeout > 0 {
		_ = o.raw.SetDeadline(time.Now().Add(t.Timeout))
	}
	return o, fd, 0
}

// closing is the loop's word that it has closed its end: a connection that stands gets the last bytes out.
func (o *Outbound) closing() {
	now := time.Now()
	if !o.up.Load() {
		_ = o.raw.SetDeadline(now)
		return
	}
	_ = o.raw.SetReadDeadline(now)
	_ = o.raw.SetWriteDeadline(now.Add(flushTime))
}

// Run is the life of the connection. ready is told once how connecting and the handshake have ended.
func (o *Outbound) Run(ready func(error)) {
	defer o.end.Close()
	defer o.raw.Close()
	o.t.Counter.Begin()
	defer o.t.Counter.End()
	conn, err := o.connect()
	if err != nil {
		o.t.Counter.Failed()
		ready(err)
		return
	}
	o.Pair.Src = o.raw.dst
	ready(nil)
	relay(conn, o.raw, o.end, o.Pair, flushTime)
}

func (o *Outbound) connect() (*tls.Conn, error) {
	if err := o.raw.connected(); err != nil {
		return nil, err
	}
	if len(o.t.Preface) > 0 {
		if _, err := o.raw.Write(o.t.Preface); err != nil {
			return nil, err
		}
	}
	config := o.t.Config.Clone()
	config.ServerName = o.t.Name
	conn := tls.Client(o.raw, config)
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	o.t.Counter.Shaken(conn.ConnectionState().DidResume)
	_ = o.raw.SetDeadline(time.Time{})
	o.up.Store(true)
	if o.Pair.closed.Load() { // while the deadlines were taken away
		o.closing()
	}
	return conn, nil
}

// connected waits until a connection that was started stands.
func (c *Conn) connected() error {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	var errno unix.Errno
	err = raw.Write(func(fd uintptr) bool {
		if errno = sock.ConnectError(int(fd)); errno != 0 {
			return true
		}
		if _, err := unix.Getpeername(int(fd)); err != nil {
			return false // ENOTCONN: still on its way
		}
		c.dst = sock.LocalAddr(int(fd))
		return true
	})
	if err != nil {
		return err
	}
	if errno != 0 {
		return errno
	}
	return nil
}
