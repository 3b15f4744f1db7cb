package proxy

import (
	"net/netip"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/sample"
)

// fault hands out the log entry of a connection of l that has come to nothing. Without a format of its own it is HAProxy's
// line (manual, section 8.2.6); a flood of them fills no more than the log's queue. since is when the connection was
// accepted, on the loop's clock.
func (w *worker) fault(l *listener, src netip.AddrPort, since time.Duration, why sample.ConnError) {
	fe := l.fe
	if !fe.logs || why == sample.ConnOK || fe.cfg.Options.DontLogNull && why.Null() {
		return
	}
	e := &w.entry
	*e = accesslog.Entry{
		Client: src, Time: time.Now().Add(since - w.loop.Now()), Frontend: fe.cfg.Name, Backend: fe.cfg.Name, HTTPMode: fe.cfg.HTTP,
		TLS: l.front.Certificates() != nil, Fault: why, Bind: l.at.name, State: [4]byte{'P', 'R', '-', '-'},
		ActConn: int(fe.plan.pool.Process.Conns.Load()), FeConn: int(fe.stats.Sessions.Load()),
	}
	e.NoTimers()
	e.Ta, e.Tt = 0, 0
	fe.plan.access(fe.cfg, e)
}
