// Package check runs the active health checks of servers, by the rules of HAProxy's configuration
// manual (section 5.2: check, inter, fastinter, downinter, rise, fall, port, addr; `option httpchk`,
// `http-check`, `timeout check`).
//
// One goroutine, that of [Checker.Run], owns a heap of what is due. A check that is due gets a
// goroutine for as long as it takes, at most Options.MaxRunning at once; servers in maintenance or
// without an address cost nothing but their place in the heap. Outcomes go to the pool, which counts
// health and decides about states.
package check
