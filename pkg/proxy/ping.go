package proxy

import (
	"context"
	"fmt"
)

// Ping returns when every event loop has turned once, or with an error when ctx ends before that: a loop
// hangs. It is what a liveness check asks. A loop that a soft stop has left nothing to do has ended, and is not asked.
func (e *Engine) Ping(ctx context.Context) error {
	turned, asked := make(chan struct{}, len(e.workers)), 0
	for _, w := range e.workers {
		if w.loop.Post(func() { turned <- struct{}{} }) {
			asked++
		}
	}
	for n := range asked {
		select {
		case <-turned:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d event loops do not turn", asked-n, len(e.workers))
		}
	}
	return nil
}
