package datapath

import (
	"context"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// neighBuffer is room for the messages of a burst: some thousand neighbours that change at once.
const neighBuffer = 1 << 20

// followNeighbours calls changed for each message about a neighbour until ctx ends. When messages were lost it calls lost
// and starts again.
func followNeighbours(ctx context.Context, ns netns.NsHandle, changed func(neighbour), lost func()) {
	for first := true; ctx.Err() == nil; first = false {
		updates := make(chan netlink.NeighUpdate, 64)
		life, end := context.WithCancel(ctx) // of the socket, which netlink leaves open when messages are lost
		opts := netlink.NeighSubscribeOptions{Namespace: &ns, ErrorCallback: func(error) {}, ReceiveBufferSize: neighBuffer}
		if netlink.NeighSubscribeWithOptions(updates, life.Done(), opts) == nil {
			if !first {
				lost()
			}
			for u := range updates {
				if n, ok := makeNeighbour(u.Neigh); ok {
					if u.Type == unix.RTM_DELNEIGH {
						n.state = 0
					}
					changed(n)
				}
			}
		}
		end()
		pause(ctx, time.Second)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// neighbourChanged takes over one change, at once: flows are sent to its MAC.
func (dp *Datapath) neighbourChanged(n neighbour) {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return
	}
	dp.report(&dp.neighbouring, "kernel path: following a neighbour failed", dp.tables.neighbour(dp.planner.ways, n))
}

// neighbour takes a change over into wg_ways and wg_targets, and into wg_neighs if it is a new one.
func (t *tables) neighbour(w *ways, n neighbour) error {
	var err error
	if n.valid() {
		if id := w.id(n.hop); id != 0 {
			err = t.neighs.add(neighKey(n.hop), id)
		}
	}
	if w.learn(n) {
		t.targets.follow(w)
	}
	return err
}

// lookAfterNeighbours does what the kernel does for neighbours that it sends to itself: one whose entry has become
// stale is asked whether it is still there, first at its old MAC, then by broadcast (RFC 4861 section 7.3, and the same
// for ARP in Linux).
func (dp *Datapath) lookAfterNeighbours() {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return
	}
	dp.planner.targets.noteUse(dp.planner.ways)
	for _, h := range dp.planner.ways.neglected() {
		if err := dp.network.look(h); err != nil {
			dp.opts.Logger.Debug("kernel path: " + err.Error())
		}
	}
}
