package datapath

import (
	"context"
	"fmt"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

const (
	// settle is how long the network must be quiet before it is read again: one change comes as several messages.
	settle = 50 * time.Millisecond
	// resync is how often the network is read without a message, in case one was lost.
	resync = 30 * time.Second
)

// watchNetwork sends on the returned channel, which has room for one, whenever interfaces, addresses or routes of the
// namespace change, until ctx ends.
func watchNetwork(ctx context.Context, ns netns.NsHandle) (<-chan struct{}, error) {
	changed := make(chan struct{}, 1)
	links := make(chan netlink.LinkUpdate, 16)
	addrs := make(chan netlink.AddrUpdate, 16)
	routes := make(chan netlink.RouteUpdate, 16)
	done := ctx.Done()
	ignore := func(error) {} // a lost message is made good by resync
	if err := netlink.LinkSubscribeWithOptions(links, done, netlink.LinkSubscribeOptions{Namespace: &ns, ErrorCallback: ignore}); err != nil {
		return nil, fmt.Errorf("follow interfaces: %w", err)
	}
	if err := netlink.AddrSubscribeWithOptions(addrs, done, netlink.AddrSubscribeOptions{Namespace: &ns, ErrorCallback: ignore}); err != nil {
		return nil, fmt.Errorf("follow addresses: %w", err)
	}
	if err := netlink.RouteSubscribeWithOptions(routes, done, netlink.RouteSubscribeOptions{Namespace: &ns, ErrorCallback: ignore}); err != nil {
		return nil, fmt.Errorf("follow routes: %w", err)
	}
	notify := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	// Each ends when netlink closes its channel, which it does when done is closed.
	go drain(links, notify)
	go drain(addrs, notify)
	go drain(routes, notify)
	return changed, nil
}

func drain[T any](updates <-chan T, notify func()) {
	for range updates {
		notify()
	}
}

// follow calls refresh after each change of the network once it has settled, and now and then without one.
func follow(ctx context.Context, changed <-chan struct{}, refresh func()) {
	ticker := time.NewTicker(resync)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			refresh()
		case <-changed:
			timer := time.NewTimer(settle)
			for quiet := false; !quiet; {
				select {
				case <-ctx.Done():
					timer.Stop()
					return
				case <-changed:
					timer.Reset(settle)
				case <-timer.C:
					quiet = true
				}
			}
			refresh()
		}
	}
}
