// Package pool is the domain of the balancer: frontends, backends, servers, their states, slots,
// limits, queues and counters.
//
// It does no I/O and knows no clock of its own beyond time.Now. Discovery and health checks change it
// through a few methods of [Backend]; every change goes through one commit point that recomputes what
// follows from it, publishes a new [Snapshot] and tells the pool's observer. The data paths only read:
// they take the snapshot with one atomic load and count in their own [Shard].
//
// Locking: each backend has one mutex for changes of state. Readers of snapshots, gauges and counters
// take no lock. Observers are called without the lock held, in commit order for each backend.
package pool
