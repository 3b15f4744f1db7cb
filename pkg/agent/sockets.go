package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"waggle/pkg/runtimeapi"
)

// sockets are the listeners beside those of the frontends.
type sockets struct {
	health  net.Listener // nil if the name was taken
	runtime []runtimeapi.Listener
}

// openSockets opens the Runtime API's sockets and the health check's. That somebody else has the name
// of the latter is no reason not to balance: another waggle may run in the same network namespace.
func (a *Agent) openSockets() (*sockets, error) {
	s := &sockets{}
	for _, line := range a.opts.Config.Global.StatsSockets {
		l, err := runtimeapi.Listen(line)
		if err != nil {
			s.close()
			return nil, fmt.Errorf("config : [%s] : stats socket: %w", line.Pos, err)
		}
		s.runtime = append(s.runtime, l)
	}
	if name := a.opts.HealthSocket; name != "" {
		l, err := net.Listen("unix", name)
		if err != nil {
			a.log.Warn("waggle healthcheck will not find this process; --health-socket gives it a name of its own", "err", err)
		} else {
			s.health = l
		}
		l, err = listenControl(name)
		if err != nil {
			a.log.Warn("waggle flows and waggle trace will not find this process; --health-socket gives it a name of its own", "err", err)
		} else {
			s.runtime = append(s.runtime, runtimeapi.Listener{Listener: l, Level: runtimeapi.Operator})
		}
	}
	return s, nil
}

func (s *sockets) close() {
	for _, l := range s.runtime {
		l.Close()
	}
}

// serve starts whatever is open; it ends with the tasks' context.
func (s *sockets) serve(a *Agent, t *tasks) {
	if s.health != nil {
		t.run(func(ctx context.Context) { a.serveHealth(ctx, s.health) })
	}
	if len(s.runtime) == 0 {
		return
	}
	global := &a.opts.Config.Global
	api := runtimeapi.New(a, runtimeapi.Options{
		MaxClients: global.StatsMaxConn, Idle: global.StatsTimeout, MaxLine: global.BufSize,
		Sessions: a, Tracer: a, Control: control{a}, StartupLogs: a.startupLogs,
	})
	t.run(func(ctx context.Context) {
		if err := api.Serve(ctx, s.runtime); err != nil && !errors.Is(err, context.Canceled) {
			a.log.Error("the stats socket has failed", "err", err)
		}
	})
}

// startupLogs is what HAProxy keeps for `show startup-logs`.
func (a *Agent) startupLogs() string {
	var out strings.Builder
	for _, line := range a.opts.StartupLogs {
		out.WriteString(line + "\n")
	}
	return out.String()
}
