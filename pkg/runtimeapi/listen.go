package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"waggle/pkg/config"
)

// Level is what the clients of a socket may do.
type Level uint8

// The levels, each with all that those before it allow.
const (
	User     Level = iota // read what is not sensitive
	Operator              // read everything, clear maxima
	Admin                 // change servers
)

// String returns the level as the configuration writes it.
func (l Level) String() string { return [...]string{"user", "operator", "admin"}[l] }

// ParseLevel reads the level of a `stats socket` line; "" is operator, as in HAProxy.
func ParseLevel(s string) (Level, error) {
	switch s {
	case "user":
		return User, nil
	case "operator", "":
		return Operator, nil
	case "admin":
		return Admin, nil
	default:
		return User, fmt.Errorf("unknown level %q: user, operator or admin", s)
	}
}

// Listener is a socket with what its clients may do.
type Listener struct {
	net.Listener
	Level Level
}

// Opened is a socket that listens and that nobody finds yet, so that one of the same name stays in use as long as it is
// not certain that this one will be. The owner calls Place or Discard.
type Opened struct {
	Listener
	private, path string // of a unix socket: the directory that it is in, and where it is to be
}

// Open opens the socket of a line. A unix socket is made in a directory of its own, where nobody else can reach it, so that it
// never is anywhere with the wrong mode. before are those that are in use: one with the same address and port shares
// its queue with this one.
func Open(cfg config.StatsSocket, before []Listener) (*Opened, error) {
	level, err := ParseLevel(cfg.Level)
	if err != nil {
		return nil, err
	}
	o := &Opened{Listener: Listener{Level: level}, path: cfg.Path}
	where := cfg.Path
	switch {
	case cfg.FD != 0:
		where = "fd@" + strconv.Itoa(cfg.FD)
		o.Listener.Listener, err = inherited(cfg.FD)
	case where == "":
		where = cfg.Addr.String()
		o.Listener.Listener, err = listenTCP(where, before)
	default:
		err = o.listenUnix(fs.FileMode(cfg.Mode))
	}
	if err != nil {
		return nil, listenError(where, err)
	}
	return o, nil
}

func listenError(where string, err error) error {
	return fmt.Errorf("listen on stats socket %s: %w", where, err)
}

// inherited listens on a copy of a descriptor that the process was started with: the descriptor itself stays open, for a reload that
// names it once more.
func inherited(fd int) (net.Listener, error) {
	duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	file := os.NewFile(uintptr(duplicate), "")
	defer file.Close()
	return net.FileListener(file)
}

func listenTCP(addr string, before []Listener) (net.Listener, error) {
	for _, b := range before {
		l, ok := b.Listener.(*net.TCPListener)
		if !ok || l.Addr().String() != addr {
			continue
		}
		f, err := l.File()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return net.FileListener(f)
	}
	return ListenBeside(addr)
}

// ListenBeside lets the process that takes over with -sf listen while the one before still does, as HAProxy's sockets do.
func ListenBeside(addr string) (net.Listener, error) {
	return beside.Listen(context.Background(), "tcp", addr)
}

var beside = net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
	var failed error
	err := conn.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	return errors.Join(err, os.NewSyscallError("setsockopt", failed))
}}

func (o *Opened) listenUnix(mode fs.FileMode) (err error) {
	if err := replaceable(o.path); err != nil {
		return err
	}
	if o.private, err = privateDir(filepath.Dir(o.path)); err != nil {
		return err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: o.temporary(), Net: "unix"})
	if err != nil {
		_ = os.RemoveAll(o.private)
		return err
	}
	l.SetUnlinkOnClose(false) // it will not be at that path
	own := &unixListener{UnixListener: l, path: o.path}
	o.Listener.Listener = own
	if mode != 0 {
		err = os.Chmod(o.temporary(), mode)
	}
	if err == nil {
		own.made, err = os.Lstat(o.temporary())
	}
	if err != nil {
		o.Discard()
	}
	return err
}

func (o *Opened) temporary() string { return filepath.Join(o.private, "s") }

// privateDir makes a directory in dir that only this user can enter. Its name is so short that a socket in it fits into
// sun_path (unix(7)) wherever one does whose path config allows: 97 bytes, as HAProxy.
func privateDir(dir string) (path string, err error) {
	for range 100 {
		name := strconv.FormatUint(rand.Uint64(), 36)
		path = filepath.Join(dir, ".w"+name[:min(5, len(name))])
		if err = os.Mkdir(path, 0o700); !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return path, err
}

// Place moves the socket to where clients look for it, in the place of one that a process before left behind.
func (o *Opened) Place() error {
	if o.private == "" {
		return nil
	}
	if err := os.Rename(o.temporary(), o.path); err != nil {
		return listenError(o.path, err)
	}
	return os.RemoveAll(o.private)
}

// Discard closes the socket. What is in its place stays.
func (o *Opened) Discard() {
	o.Close()
	if o.private != "" {
		_ = os.RemoveAll(o.private)
	}
}

// replaceable says whether a socket may be put at path: there is nothing, or another socket.
func replaceable(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("there is something else than a socket (%s)", info.Mode())
	default:
		return nil
	}
}

// unixListener removes its socket on Close, unless another process has put its own there since.
type unixListener struct {
	*net.UnixListener
	path string
	made fs.FileInfo // the socket's file, to know it again
}

// Addr names the socket by where it was moved to.
func (l *unixListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close stops listening and removes the socket. A second Close only reports net.ErrClosed.
func (l *unixListener) Close() error {
	if err := l.UnixListener.Close(); err != nil {
		return err
	}
	if there, err := os.Lstat(l.path); err == nil && os.SameFile(l.made, there) {
		return os.Remove(l.path)
	}
	return nil
}
