package check

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"waggle/pkg/pool"
)

// defaultInter is `inter` where the configuration says nothing.
const defaultInter = 2 * time.Second

// task is one server's check with its place in the schedule. All fields but Spec are the run loop's.
type task struct {
	Spec
	due        time.Time
	index      int                // in the queue, -1 when not in it
	cancel     context.CancelFunc // of the running check, nil when none runs
	again      bool               // check again at once when the running check has ended
	removed    bool               // nobody wants it any more
	freshUntil time.Time          // until then the address counts as new
}

func (s Spec) inter() time.Duration { return orDefault(s.Options.Inter, defaultInter) }

// target is where the check connects to, given the server's address.
func (s Spec) target(server netip.AddrPort) netip.AddrPort {
	addr, port := server.Addr(), server.Port()
	set := s.Server.View().CheckTarget
	switch {
	case set.Addr.IsValid():
		addr = set.Addr
	case s.Options.Addr.IsValid():
		addr = s.Options.Addr
	}
	switch {
	case set.Port != 0:
		port = set.Port
	case s.Options.Port != 0:
		port = uint16(s.Options.Port)
	}
	return netip.AddrPortFrom(addr, port)
}

// run checks the server once and reports the outcome, unless ctx ended.
func (s Spec) run(ctx context.Context, dial Dial, server netip.AddrPort) {
	start := time.Now()
	r := s.probe(ctx, dial, s.target(server), start)
	if ctx.Err() != nil {
		return
	}
	r.Duration, r.For = time.Since(start), server
	s.Server.ReportCheck(r)
}

func (s Spec) probe(ctx context.Context, dial Dial, target netip.AddrPort, start time.Time) pool.CheckResult {
	limit := s.inter()
	if s.CheckTimeout > 0 && s.ConnectTimeout > 0 {
		limit = min(limit, s.ConnectTimeout)
	}
	connecting, cancel := context.WithTimeout(ctx, limit)
	conn, err := dial(connecting, target)
	cancel()
	if err != nil {
		return connectFailure(err)
	}
	defer reset(conn)
	if err := s.announce(conn); err != nil {
		return connectFailure(err)
	}
	if s.HTTP == nil {
		return pool.CheckResult{Status: pool.CheckL4OK}
	}
	deadline := start.Add(s.inter())
	if s.CheckTimeout > 0 {
		deadline = time.Now().Add(s.CheckTimeout)
	}
	conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	return probeHTTP(conn, s.HTTP)
}

// reset closes a connection with a RST, as HAProxy does for checks: it leaves no TIME_WAIT behind.
func reset(conn net.Conn) {
	if c, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = c.SetLinger(0) // at worst the close is an ordinary one
	}
	conn.Close()
}

func connectFailure(err error) pool.CheckResult {
	switch {
	case isTimeout(err):
		return pool.CheckResult{Status: pool.CheckL4Tout}
	case isLocal(err):
		return pool.CheckResult{Status: pool.CheckSockErr, Info: info(err)}
	default:
		return pool.CheckResult{Status: pool.CheckL4Con, Info: info(err)}
	}
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// isLocal says whether the fault is this host's and says nothing about the server.
func isLocal(err error) bool {
	for _, e := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE, syscall.EAGAIN,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// info is the system's text for an error as C libraries write it, e.g. "Connection refused".
func info(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return ""
	}
	text := errno.Error()
	return strings.ToUpper(text[:1]) + text[1:]
}
