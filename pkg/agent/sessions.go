package agent

import (
	"cmp"
	"context"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/datapath"
	"waggle/pkg/pool"
	"waggle/pkg/proxy"
	"waggle/pkg/runtimeapi"
)

// kernelLog makes access log entries of sessions that the kernel path carried.
type kernelLog struct {
	find     func(id uint32) *service // nil: of a configuration that is no more
	services func() []*service
	servers  *serverIndex
	process  *pool.Gauge
	// established is the number of established flows of a service now.
	established func(service uint32) int
	access      func(*service, *accesslog.Entry)
}

// stateOf is the termination state of HAProxy's manual, section 8.5, by how a flow ended.
func stateOf(end datapath.End) [4]byte {
	switch end {
	case datapath.EndClientReset:
		return [4]byte{'C', 'D'}
	case datapath.EndServerReset:
		return [4]byte{'S', 'D'}
	case datapath.EndRefused:
		return [4]byte{'S', 'C'}
	case datapath.EndConnectTimeout:
		return [4]byte{'s', 'C'}
	case datapath.EndClientTimeout:
		return [4]byte{'c', 'D'}
	case datapath.EndServerTimeout:
		return [4]byte{'s', 'D'}
	case datapath.EndServerDown:
		return [4]byte{'D', 'D'}
	case datapath.EndKilled:
		return [4]byte{'K', 'D'}
	}
	return [4]byte{'-', '-'}
}

// closed logs the end of a session. It does not wait for anything but the kernel path's own lock.
func (l *kernelLog) closed(c datapath.Closed) {
	s := l.find(c.Service)
	if s == nil {
		return
	}
	e := accesslog.Entry{
		Style: accesslog.TCP, Client: c.Client, Dest: c.Front, Time: c.Started,
		Frontend: s.frontend.Name, Backend: s.backend.Name,
		Bytes: int64(c.BytesOut), Uploaded: int64(c.BytesIn), State: stateOf(c.End),
	}
	e.NoTimers()
	e.Tw = 0 // the kernel path has no queue
	if c.Connect >= 0 {
		e.Tc = milliseconds(c.Connect)
	}
	e.Tt = milliseconds(c.Duration)
	if server := l.servers.get(c.Server); server != nil {
		e.Server = server.Name
		e.SrvConn = c.InServer + int(server.Sessions.User())
	}
	e.ActConn = c.Total + int(l.process.User())
	e.FeConn = c.InService + int(s.frontend.Sessions.User())
	e.BeConn = c.InService + int(s.backend.Sessions.User()) + l.others(s)
	e.Retries = max(0, s.verdict.Backend.Retries-int(c.RetriesLeft))
	e.Redispatched = c.Redispatched
	// HAProxy writes the line when the session has left its server and its backend, and not yet its frontend.
	if c.Connect >= 0 {
		e.BeConn, e.SrvConn = max(e.BeConn-1, 0), max(e.SrvConn-1, 0)
	} else { // it was never established, and the kernel counts only those
		e.ActConn++
		e.FeConn++
	}
	l.access(s, &e)
}

// others counts the flows of other frontends to the backend of this one.
func (l *kernelLog) others(s *service) (n int) {
	for _, o := range l.services() {
		if o.id != s.id && o.backend.Identity() == s.backend.Identity() {
			n += l.established(o.id)
		}
	}
	return n
}

func milliseconds(d time.Duration) int { return int(d / time.Millisecond) }

// shutdownDown ends the flows of servers that are down with `on-marked-down shutdown-sessions`. Like all that follows the
// pool it goes by what is, not by what happened: a flow that slipped in is found the next time.
func (k *kernel) shutdownDown() {
	down := map[uint32]bool{}
	for key, s := range k.servers.all() {
		if s.ShutdownSessions && s.View().Op == pool.Stopped && k.path().Live(key) > 0 {
			down[key] = true
		}
	}
	if len(down) == 0 {
		return
	}
	n, err := k.path().Shutdown(datapath.EndServerDown, func(f datapath.Flow) bool { return down[f.Server] })
	if err != nil {
		k.log.Warn("sessions of servers that went down could not be ended", "err", err)
		return
	}
	if n > 0 {
		k.log.Info("sessions of servers that went down were ended", "sessions", n)
	}
}

// Flows implements [runtimeapi.Sessions].
func (a *Agent) Flows(yield func(runtimeapi.Flow) bool) error {
	if a.kernel.path() == nil {
		return runtimeapi.ErrNoKernelPath
	}
	return a.kernel.path().Flows(func(f datapath.Flow) bool { return yield(a.kernel.describe(f)) })
}

// describe puts names to a flow; what the configuration does not know (any more) has a dash.
func (k *kernel) describe(f datapath.Flow) runtimeapi.Flow {
	out := runtimeapi.Flow{
		ID: f.ID, Frontend: "-", Backend: "-", Server: "-",
		Client: f.Client, Front: f.Front, Back: f.Back, Task: f.Task,
		State: string(f.State), Age: f.Age, Idle: f.Idle, BytesIn: f.BytesIn, BytesOut: f.BytesOut,
	}
	if s := k.plan().service(f.Service); s != nil {
		out.Frontend, out.Backend = s.frontend.Name, s.backend.Name
	}
	if s := k.servers.get(f.Server); s != nil {
		out.Server = s.Name
	}
	return out
}

// inspectPatience bounds how long the event loops may take to answer; they do within milliseconds.
const inspectPatience = 2 * time.Second

// Streams implements [runtimeapi.Sessions].
func (a *Agent) Streams(yield func(runtimeapi.Stream) bool) error {
	ctx, cancel := context.WithTimeout(context.Background(), inspectPatience)
	defer cancel()
	return a.engine.Inspect(ctx, func(i proxy.SessionInfo) bool {
		return yield(runtimeapi.Stream{
			Flow: runtimeapi.Flow{
				ID: i.ID, Frontend: i.Frontend, Backend: cmp.Or(i.Backend, "<NONE>"), Server: cmp.Or(i.Server, "<none>"),
				Client: i.Client, Front: i.Front, Back: i.Back, Task: i.Task, State: i.Phase, Age: i.Age, BytesIn: uint64(i.BytesIn), BytesOut: uint64(i.BytesOut),
			},
			HTTP: i.HTTP, Expires: i.Expires, Requests: i.Requests, Retries: i.Retries, Status: i.Status, Line: i.Line, Buffered: i.Buffered,
		})
	})
}

// malformed is what the engine has kept for `show errors`.
func (a *Agent) malformed() (total uint64, last []runtimeapi.Malformed) {
	total, all := a.engine.Captured()
	for _, m := range all {
		last = append(last, runtimeapi.Malformed(m))
	}
	return total, last
}

// ShutdownStream implements [runtimeapi.Sessions].
func (a *Agent) ShutdownStream(id uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(context.Background(), inspectPatience)
	defer cancel()
	return a.engine.ShutdownSession(ctx, id)
}

// ShutdownServer implements [runtimeapi.Sessions].
func (a *Agent) ShutdownServer(s *pool.Server) error {
	a.engine.ShutdownSessions(s)
	id := a.kernel.servers.id(s)
	if a.kernel.path() == nil || a.kernel.servers.get(id) == nil {
		return nil
	}
	_, err := a.kernel.path().Shutdown(datapath.EndKilled, func(f datapath.Flow) bool { return f.Server == id })
	return err
}

// ShutdownFlow implements [runtimeapi.Sessions].
func (a *Agent) ShutdownFlow(id uint64) (bool, error) {
	if a.kernel.path() == nil {
		return false, nil
	}
	n, err := a.kernel.path().Shutdown(datapath.EndKilled, func(f datapath.Flow) bool { return f.ID == id })
	return n > 0, err
}

// eventLoops has the event loops tell about themselves.
func (a *Agent) eventLoops() ([]runtimeapi.Loop, error) {
	ctx, cancel := context.WithTimeout(context.Background(), inspectPatience)
	defer cancel()
	seen, err := a.engine.Look(ctx)
	var all []runtimeapi.Loop
	for i := range seen {
		var l runtimeapi.Loop
		for _, c := range seen[i].Counters {
			l.Counters = append(l.Counters, runtimeapi.Counter(c))
		}
		for _, s := range seen[i].Stores {
			l.Stores = append(l.Stores, runtimeapi.Store(s))
		}
		for _, f := range seen[i].Files {
			l.Files = append(l.Files, runtimeapi.File(f))
		}
		all = append(all, l)
	}
	return all, err
}
