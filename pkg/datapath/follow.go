package datapath

import (
	"context"
	"fmt"
	"time"

	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

const (
	// settle is how long the network must be quiet before it is read again: one change comes as several messages.
	settle = 50 * time.Millisecond
	// restless is how long it may go on changing until it is read all the same.
	restless = 20 * settle
	// resync is how often the network is read without a message, in case one was lost.
	resync = 30 * time.Second
)

// networkGroups are the multicast groups of what the network is read from: interfaces, addresses, routes, their next hops and
// routing rules, of both families.
var networkGroups = [...]uint{
	unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE,
	unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE, unix.RTNLGRP_NEXTHOP,
}

// watchNetwork sends on the returned channel, which has room for one, whenever interfaces, addresses, routes or rules of
// the namespace change, until ctx ends. What a message says does not matter, since all is read again; one that was lost
// for lack of room counts as one.
func watchNetwork(ctx context.Context, ns netns.NsHandle) (<-chan struct{}, error) {
	subscribe := func() (*nl.NetlinkSocket, error) {
		return nl.SubscribeAt(ns, netns.None(), unix.NETLINK_ROUTE, networkGroups[:]...)
	}
	socket, err := subscribe()
	if err != nil {
		return nil, fmt.Errorf("follow the network: %w", err)
	}
	changed := make(chan struct{}, 1)
	go watch(ctx, socket, subscribe, changed)
	return changed, nil
}

// watch notifies of each message to the socket until ctx ends. One that fails, as it does when messages are lost, gives way to a new
// one, which counts as a message. It closes them.
func watch(ctx context.Context, socket *nl.NetlinkSocket, subscribe func() (*nl.NetlinkSocket, error), changed chan<- struct{}) {
	var err error
	for ctx.Err() == nil {
		if err == nil {
			untilError(ctx, socket, changed)
		}
		if ctx.Err() == nil {
			pause(ctx, settle)
			socket, err = subscribe()
			notify(changed)
		}
	}
	if err == nil {
		socket.Close()
	}
}

// untilError notifies of each message until the socket fails, as it does when messages are lost, or ctx ends.
func untilError(ctx context.Context, socket *nl.NetlinkSocket, changed chan<- struct{}) {
	stop := context.AfterFunc(ctx, socket.Close)
	defer stop()
	for {
		if _, _, err := socket.Receive(); err != nil {
			socket.Close()
			return
		}
		notify(changed)
	}
}

func notify(changed chan<- struct{}) {
	select {
	case changed <- struct{}{}:
	default:
	}
}

// While the network changes, new interfaces are looked for at once until that has taken a while, and then for a tenth of the time at most.
const (
	soonest   = time.Millisecond // between two looks
	unhurried = settle / 5       // what all looks may take before they rest
)

// follow calls refresh after each change of the network once it has settled, or has not for a while, and now and then without one. It
// calls early with the first change, and until then again and again while there are more.
func follow(ctx context.Context, changed <-chan struct{}, early, refresh func()) {
	ticker := time.NewTicker(resync)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			refresh()
		case <-changed:
			if !untilQuiet(ctx, changed, early) {
				return
			}
			refresh()
		}
	}
}

// untilQuiet returns when the network has settled after a change, or has not for a while; false when ctx ends.
func untilQuiet(ctx context.Context, changed <-chan struct{}, early func()) bool {
	since := time.Now()
	quiet, again := time.NewTimer(settle), time.NewTimer(0)
	defer quiet.Stop()
	defer again.Stop()
	var took time.Duration
	for pending, next := true, since; ; {
		select {
		case <-ctx.Done():
			return false
		case <-changed:
			quiet.Reset(min(settle, restless-time.Since(since)))
			if !pending {
				pending = true
				again.Reset(time.Until(next))
			}
		case <-again.C:
			began := time.Now()
			early()
			last, rest := time.Since(began), soonest
			if took += last; took > unhurried {
				rest = max(rest, 10*last)
			}
			pending, next = false, time.Now().Add(rest)
		case <-quiet.C:
			return true
		}
	}
}
