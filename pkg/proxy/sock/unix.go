package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"waggle/pkg/unixaddr"
)

// setUnix makes the address of a unix socket.
func (r *rawAddr) setUnix(name string) {
	sa := (*unix.RawSockaddrUnix)(unsafe.Pointer(&r.any))
	*sa = unix.RawSockaddrUnix{Family: unix.AF_UNIX}
	path := unixaddr.SunPath(name)
	for i, c := range path[:min(len(path), len(sa.Path))] {
		sa.Path[i] = int8(c)
	}
	r.len = uint32(unsafe.Offsetof(sa.Path)) + uint32(len(path))
}

// Owner is whose the file of a unix socket becomes; -1 leaves that to the system.
type Owner struct{ User, Group int }

// listenUnix listens on a unix socket. One at a path is made beside it and then moved there, as HAProxy does, so that clients
// find either the one before or this one; what is there and no socket stays, which is an error. Nobody removes it at the end,
// as with HAProxy: the process that comes next may have put its own there.
func listenUnix(addr netip.AddrPort, name string, o ListenOptions) (fd int, bound netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, bound, os.NewSyscallError("socket", err)
	}
	if unixaddr.Abstract(name) {
		err = bindUnix(fd, name, o.Backlog)
	} else {
		err = bindPath(fd, name, o)
	}
	if err != nil {
		Close(fd)
		return -1, bound, err
	}
	return fd, addr, nil
}

func bindUnix(fd int, name string, backlog int) error {
	var r rawAddr
	r.setUnix(name)
	if _, _, e := unix.RawSyscall(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&r.any)), uintptr(r.len)); e != 0 {
		return os.NewSyscallError("bind", e)
	}
	return Resume(fd, backlog)
}

func bindPath(fd int, path string, o ListenOptions) error {
	if there, err := os.Lstat(path); err == nil && there.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("there is something else than a socket (%s)", there.Mode())
	}
	temporary := fmt.Sprintf("%s.%d.tmp", path, os.Getpid()%1e6)
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := bindUnix(fd, temporary, o.Backlog)
	if err == nil && o.Mode != 0 {
		err = os.Chmod(temporary, fs.FileMode(o.Mode))
	}
	if err == nil && (o.Owner.User >= 0 || o.Owner.Group >= 0) {
		err = os.Chown(temporary, o.Owner.User, o.Owner.Group)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		_ = os.Remove(temporary)
	}
	return err
}
