package agent

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// unready has /readyz say no from now on; or, if a process that takes over with -sf listens there as well, leaves it to that one, which
// serves by now: half of the questions would find the one that ends.
func (a *Agent) unready() {
	defer a.stopping.Store(true) // when it is known whether another one answers: what is asked meanwhile is not told no
	s := a.sockets
	if s == nil || s.yield == nil {
		return
	}
	another, err := anotherListens(s.ready)
	if err != nil {
		a.log.Warn("it is not known whether another waggle answers /healthz and /readyz; this one goes on to", "err", err)
	}
	if another {
		a.log.Info("another waggle answers /healthz and /readyz from now on")
		s.yield()
	}
}

// anotherListens tells whether there is another socket of this namespace that listens at a listener's address.
func anotherListens(l net.Listener) (bool, error) {
	own, err := inodeOf(l)
	if err != nil {
		return false, err
	}
	at, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return false, nil
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		all, err := netlink.SocketDiagTCP(family)
		if err != nil {
			return false, fmt.Errorf("list sockets: %w", err)
		}
		for _, s := range all {
			if s.State == unix.BPF_TCP_LISTEN && int(s.ID.SourcePort) == at.Port && s.ID.Source.Equal(at.IP) && uint64(s.INode) != own {
				return true, nil
			}
		}
	}
	return false, nil
}

func inodeOf(l net.Listener) (inode uint64, err error) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return 0, fmt.Errorf("a listener of type %T has no socket", l)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	var st unix.Stat_t
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = unix.Fstat(int(fd), &st) }); err != nil {
		return 0, err
	}
	return st.Ino, failed
}
