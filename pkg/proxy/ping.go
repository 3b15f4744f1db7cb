package proxy

import (
	"context"
	"fmt"
)

// Ping returns when every event loop has turned once, or with an error when ctx ends before that: a loop
// hangs. It is what a liveness check asks.
func (e *Engine) Ping(ctx context.Context) error {
	turned := make(chan struct{}, len(e.workers))
	for _, w := range e.workers {
		w.loop.Post(func() { turned <- struct{}{} })
	}
	for n := range e.workers {
		select {
		case <-turned:
		case <-e.done:
			return fmt.Errorf("the event loops have stopped")
		case <-ctx.Done():
			return fmt.Errorf("%d of %d event loops do not turn", len(e.workers)-n, len(e.workers))
		}
	}
	return nil
}
