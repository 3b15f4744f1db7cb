// Package loop is an event loop on epoll: one locked thread that owns its sockets, timers and buffers, so
// that nothing on it needs a lock.
//
// A socket is registered once, edge-triggered, for both directions. A round of the loop is: wait, deliver
// the events of the batch to their handlers, run what was put off ([Loop.Again]), run what other goroutines
// posted, fire timers, and last flush the writes that the handlers queued, grouped by rank: one rank of
// peers is woken once for all that the batch holds for it (reference: the engine's measurements, deferred
// grouped writes halve the context switches).
//
// All methods belong to the loop's own goroutine except [Loop.Post], [Loop.Stop] and [New].
package loop
