package runtimeapi

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

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

// Listen opens the socket of a `stats socket` line. A unix socket is made in a directory of its own, where nobody else can reach it,
// and then moved to its place, so that it never is anywhere with the wrong mode, and takes the place of one that a
// process before left behind. Closing the listener removes it.
func Listen(cfg config.StatsSocket) (Listener, error) {
	level, err := ParseLevel(cfg.Level)
	if err != nil {
		return Listener{}, err
	}
	if cfg.Path == "" {
		l, err := net.Listen("tcp", cfg.Addr.String())
		if err != nil {
			return Listener{}, fmt.Errorf("listen on stats socket %s: %w", cfg.Addr, err)
		}
		return Listener{l, level}, nil
	}
	l, err := listenUnix(cfg.Path, fs.FileMode(cfg.Mode))
	if err != nil {
		return Listener{}, fmt.Errorf("listen on stats socket %s: %w", cfg.Path, err)
	}
	return Listener{l, level}, nil
}

func listenUnix(path string, mode fs.FileMode) (net.Listener, error) {
	if err := replaceable(path); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".waggle-") // mode 0700
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(private) }()
	temporary := filepath.Join(private, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it will not be at that path
	if mode != 0 {
		err = os.Chmod(temporary, mode)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	made, err := os.Lstat(path)
	if err != nil {
		l.Close()
		return nil, err
	}
	return &unixListener{UnixListener: l, path: path, made: made}, nil
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
