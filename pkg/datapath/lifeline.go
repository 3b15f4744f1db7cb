package datapath

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// lifeline tells other waggles in the network namespace that the process lives whose program is in a filter. A filter outlives its
// process, and does not say whose it is. An abstract Unix socket does not: it belongs to the namespace as the filter does, goes with
// the process however that ends, and takes no privilege to ask for. (A stranger that takes such a name can keep a filter of a process
// that has ended from being taken over, and nothing else.) The zero value is one that is not held. It is not safe for concurrent use.
type lifeline struct {
	socket int
	held   bool
}

func lifelineOf(program int) unix.Sockaddr {
	return &unix.SockaddrUnix{Name: fmt.Sprintf("@waggle/program/%d", program)}
}

// hold is called inside the namespace, before the program is in a filter there. Again it does nothing.
func (l *lifeline) hold(program int) error {
	if l.held {
		return nil
	}
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("tell that the program's process lives: %w", err)
	}
	if err := unix.Bind(socket, lifelineOf(program)); err != nil && !errors.Is(err, unix.EADDRINUSE) { // a stranger's tells as much
		unix.Close(socket)
		return fmt.Errorf("tell that the program's process lives: %w", err)
	}
	l.socket, l.held = socket, true
	return nil
}

// close lets others take over what is left of the program.
func (l *lifeline) close() error {
	if !l.held {
		return nil
	}
	l.held = false
	return unix.Close(l.socket)
}

// lives tells, inside the namespace, whether the process of a program that is in a filter does.
func lives(program int) (bool, error) {
	socket, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("ask whether a program's process lives: %w", err)
	}
	defer unix.Close(socket)
	return !errors.Is(unix.Connect(socket, lifelineOf(program)), unix.ECONNREFUSED), nil
}
