package datapath

import (
	"fmt"
	"runtime"

	"github.com/vishvananda/netns"
)

// namespace is the network namespace that a Datapath works in. The zero value of ns (netns.None) is the process's.
type namespace struct {
	ns netns.NsHandle
}

func openNamespace(path string) (*namespace, error) {
	if path == "" {
		return &namespace{ns: netns.None()}, nil
	}
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", path, err)
	}
	return &namespace{ns: ns}, nil
}

// do runs f inside the namespace. What must happen there is attaching and reading /proc/sys/net; netlink sockets
// and attachments then stay in it from wherever they are used.
func (n *namespace) do(f func() error) error {
	if !n.ns.IsOpen() {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine instead of going back to the pool in the wrong namespace.
		runtime.LockOSThread()
		if err := netns.Set(n.ns); err != nil {
			done <- fmt.Errorf("enter network namespace: %w", err)
			return
		}
		done <- f()
	}()
	return <-done
}

func (n *namespace) close() error {
	if !n.ns.IsOpen() {
		return nil
	}
	return n.ns.Close()
}
