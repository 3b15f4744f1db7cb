package agent

import (
	"context"
	"sync"

	"waggle/pkg/pool"
)

// markedUp ends the sessions of backup servers when a server with `on-marked-up shutdown-backup-sessions` comes up
// (HAProxy, section 5.2). The pool tells of it while it changes state; sessions are ended by a goroutine of the agent.
type markedUp struct {
	shutdown func(*pool.Server) error

	mu   sync.Mutex
	came map[*pool.Backend]bool
	wake chan struct{}
}

func newMarkedUp(shutdown func(*pool.Server) error) *markedUp {
	return &markedUp{shutdown: shutdown, came: make(map[*pool.Backend]bool), wake: make(chan struct{}, 1)}
}

func (m *markedUp) observe(e pool.Event) {
	if e.Kind != pool.EventUp && e.Kind != pool.EventReady || e.Server == nil || !e.Server.ShutdownBackups || e.Server.Backup {
		return
	}
	m.mu.Lock()
	m.came[e.Backend] = true
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *markedUp) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.wake:
		}
		m.mu.Lock()
		came := m.came
		m.came = make(map[*pool.Backend]bool)
		m.mu.Unlock()
		for b := range came {
			m.endBackups(b)
		}
	}
}

func (m *markedUp) endBackups(b *pool.Backend) {
	for _, s := range b.Servers() {
		if s.Backup {
			_ = m.shutdown(s) // what it could not end, the next such event will
		}
	}
}
