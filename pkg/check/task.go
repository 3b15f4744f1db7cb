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
	agent      bool // the agent is asked, not the server
	due        time.Time
	index      int                // in the queue, -1 when not in it
	cancel     context.CancelFunc // of the running check, nil when none runs
	again      bool               // check again at once when the running check has ended
	removed    bool               // nobody wants it any more
	freshUntil time.Time          // until then the address counts as new
}

func (s Spec) inter() time.Duration { return orDefault(s.Options.Inter, defaultInter) }

// pause is the interval of the task in calm times.
func (t *task) pause() time.Duration {
	if t.agent {
		return t.agentInter()
	}
	return t.inter()
}

// runnable says whether the task makes sense now. An agent is asked about a server in maintenance too, since it may end it.
func (t *task) runnable(v *pool.View) bool {
	if t.agent {
		return v.AgentChecking && t.agentTarget(v.Addr).Addr().IsValid()
	}
	return !v.Admin.Maint() && v.Checking && v.Addr.Addr().IsValid()
}

// do runs the task once.
func (t *task) do(ctx context.Context, dial Dial, server netip.AddrPort) {
	mark, run := t.Server.MarkCheckRunning, t.run
	if t.agent {
		mark, run = t.Server.MarkAgentRunning, t.runAgent
	}
	mark(true)
	run(ctx, dial, server)
	mark(false)
}

// next is when the server would have been checked next; at once if a check was under way.
func (t *task) next(now time.Time) time.Time {
	if t.index < 0 {
		return now
	}
	return t.due
}

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

func connectFailure(err error) pool.CheckResult {
	var shake *handshakeError
	switch {
	case errors.As(err, &shake):
		return shake.result()
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
