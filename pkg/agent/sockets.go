package agent

import (
	"context"
	"fmt"
	"net"
)

// sockets are the listeners beside those of the frontends.
type sockets struct {
	health net.Listener // nil if the name was taken
}

// openSockets opens the health check's socket. That somebody else has the name is no reason not to
// balance: another waggle may run in the same network namespace.
func (a *Agent) openSockets() (*sockets, error) {
	s := &sockets{}
	if name := a.opts.HealthSocket; name != "" {
		l, err := net.Listen("unix", name)
		if err != nil {
			a.log.Warn("waggle healthcheck will not find this process; give it a name of its own by --health-socket", "err", fmt.Errorf("listen on %s: %w", name, err))
		} else {
			s.health = l
		}
	}
	return s, nil
}

func (s *sockets) serve(a *Agent, t *tasks) {
	if s.health != nil {
		t.run(func(ctx context.Context) { a.serveHealth(ctx, s.health) })
	}
}
