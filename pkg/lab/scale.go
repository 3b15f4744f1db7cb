package lab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Scale starts or stops tasks of a service until there are n, the highest slots last in and first out, and
// returns when the last has started or gone. New tasks are of the lab's Kind. Stops run side by side, as in
// Swarm.
func (l *Lab) Scale(ctx context.Context, service string, n int) error {
	if n < 0 {
		return fmt.Errorf("scale %s to %d: must not be negative", service, n)
	}
	l.scaling.Lock()
	defer l.scaling.Unlock()
	current := l.Tasks(service)
	for range n - len(current) {
		if _, err := l.AddTask(ctx, TaskOptions{Service: service}); err != nil {
			return fmt.Errorf("scale %s to %d: %w", service, n, err)
		}
	}
	if len(current) <= n {
		return nil
	}
	surplus := current[n:]
	errs := make([]error, len(surplus))
	var stopping sync.WaitGroup
	for i, t := range surplus {
		stopping.Go(func() { errs[i] = t.Stop(ctx) })
	}
	stopping.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("scale %s to %d: %w", service, n, err)
	}
	return nil
}

func sortBySlot(tasks []*Task) {
	slices.SortFunc(tasks, func(a, b *Task) int { return a.slot - b.slot })
}
