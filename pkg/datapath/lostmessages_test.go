package datapath

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"waggle/pkg/lab/require"
)

// listeners are the sockets of a namespace that hear of a multicast group, and how many of them have lost messages for lack of room.
func (r *room) listeners(t *testing.T, group uint) (all, lossy int) {
	t.Helper()
	r.must(t, "list netlink sockets", func() error {
		text, err := os.ReadFile("/proc/thread-self/net/netlink")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			var name string
			var protocol, pid, rmem, wmem, dump, locks, drops int
			var groups uint
			_, err := fmt.Sscan(line, &name, &protocol, &pid)
			if err != nil || protocol != unix.NETLINK_ROUTE { // the first line has words
				continue
			}
			if _, err = fmt.Sscanf(line, "%s %d %d %x %d %d %d %d %d", &name, &protocol, &pid, &groups, &rmem, &wmem, &dump, &locks, &drops); err != nil {
				return fmt.Errorf("%q: %w", line, err)
			}
			if groups&(1<<(group-1)) == 0 {
				continue
			}
			all++
			if drops > 0 {
				lossy++
			}
		}
		return nil
	})
	return all, lossy
}

// flood has something change, for the n'th time, until the only socket that hears of the group loses a message.
func (r *room) flood(t *testing.T, group uint, change func(n int) error) {
	t.Helper()
	for lossy, n := 0, 0; lossy == 0; {
		r.must(t, "flood", func() error {
			for last := n + 200; n < last; n++ {
				if err := change(n); err != nil {
					return err
				}
			}
			return nil
		})
		if _, lossy = r.listeners(t, group); n > 100_000 {
			t.Fatalf("nothing is lost of %d messages", n)
		}
	}
}

// Messages about the network are lost when many come at once; then it is read again, and watched as before.
func TestLostMessagesDoNotEndTheWatch(t *testing.T) {
	require.Root(t)
	r := newRoom(t)
	subscribe := func() (*nl.NetlinkSocket, error) {
		return nl.SubscribeAt(r.ns, netns.None(), unix.NETLINK_ROUTE, networkGroups[:]...)
	}
	socket, err := subscribe()
	if err != nil {
		t.Fatal(err)
	}
	r.flood(t, unix.RTNLGRP_LINK, func(n int) error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.LinkSetMTU(lo, 60000+n%2)
	})
	changed := make(chan struct{}, 1)
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() { watch(ctx, socket, subscribe, changed) })
	t.Cleanup(func() {
		stop()
		watching.Wait()
		// The one who closes a socket second does not wait for the first.
		waitFor(t, "the sockets to close", func() bool { all, _ := r.listeners(t, unix.RTNLGRP_LINK); return all == 0 })
	})
	heard := func() bool {
		select {
		case <-changed:
			return true
		default:
			return false
		}
	}
	waitFor(t, "the loss to count as a change", heard) // the kernel tells of it before any message
	r.must(t, "change", func() error { return addAddr("lo", "192.0.2.200") })
	waitFor(t, "a change", heard)
	if all, lossy := r.listeners(t, unix.RTNLGRP_LINK); all != 1 || lossy != 0 {
		t.Errorf("%d sockets listen, %d of which have lost messages, want 1 and 0", all, lossy)
	}
}

// The same of messages about neighbours, which anybody on the link can have sent: what has lost some makes room for who takes its place.
func TestLostMessagesDoNotEndTheWatchOfNeighbours(t *testing.T) {
	require.Root(t)
	r := newRoom(t)
	neighbourIs := func(n int) error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return netlink.NeighSet(&netlink.Neigh{
			LinkIndex: lo.Attrs().Index, Family: netlink.FAMILY_V4, State: unix.NUD_PERMANENT,
			IP: net.IPv4(192, 0, 2, 7), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, byte(n >> 8), byte(n)},
		})
	}
	held, lost := make(chan struct{}), make(chan struct{}, 1)
	var last atomic.Pointer[neighbour]
	ctx, stop := context.WithCancel(t.Context())
	var following sync.WaitGroup
	following.Go(func() {
		followNeighbours(ctx, r.ns, func(n neighbour) {
			select {
			case <-held:
				last.Store(&n)
			case <-ctx.Done():
			}
		}, func() { notify(lost) })
	})
	t.Cleanup(func() {
		stop()
		following.Wait()
		waitFor(t, "the sockets to close", func() bool { all, _ := r.listeners(t, unix.RTNLGRP_NEIGH); return all == 0 })
	})
	waitFor(t, "the watch to begin", func() bool { all, _ := r.listeners(t, unix.RTNLGRP_NEIGH); return all == 1 })
	r.flood(t, unix.RTNLGRP_NEIGH, neighbourIs)
	close(held)
	waitFor(t, "the loss to be told", func() bool {
		select {
		case <-lost:
			return true
		default:
			return false
		}
	})
	waitFor(t, "one socket that has lost nothing", func() bool { // the old one is closed by somebody else
		all, lossy := r.listeners(t, unix.RTNLGRP_NEIGH)
		return all == 1 && lossy == 0
	})
	r.must(t, "change", func() error { return neighbourIs(0xabcd) })
	waitFor(t, "the last change", func() bool { n := last.Load(); return n != nil && n.mac == [6]byte{2, 0, 0, 0, 0xab, 0xcd} })
}
