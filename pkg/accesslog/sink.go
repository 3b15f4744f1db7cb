package accesslog

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// sink is where lines end up. write sends one line and gives up at the deadline; it is called by one goroutine.
type sink interface {
	write(line []byte, deadline time.Time) error
	close() error
}

// errStuck says that a reader took nothing for as long as we wait.
var errStuck = errors.New("the reader does not read")

// openSink opens what an address names.
func openSink(address string) (sink, error) {
	switch {
	case address == "stdout":
		return openFD(unix.Stdout)
	case address == "stderr":
		return openFD(unix.Stderr)
	case strings.HasPrefix(address, "fd@"):
		fd, err := strconv.Atoi(address[len("fd@"):])
		if err != nil || fd < 0 {
			return nil, fmt.Errorf("'%s' is not a file descriptor", address)
		}
		return openFD(fd)
	}
	if path := strings.TrimPrefix(address, "unix@"); filepath.IsAbs(path) {
		return openDatagram(unix.AF_UNIX, &unix.SockaddrUnix{Name: path})
	}
	return openUDP(address)
}

// fdSink writes to a stream that others may share, so its flags stay as they are: poll(2) says how much fits.
type fdSink struct{ fd int }

// openFD duplicates fd, so that closing the logger leaves the owner's descriptor open.
func openFD(fd int) (sink, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("duplicate fd %d: %w", fd, err)
	}
	return &fdSink{dup}, nil
}

// pipeRoom is how much a pipe takes without blocking once poll(2) calls it writable (pipe(7), PIPE_BUF).
const pipeRoom = 4096

func (s *fdSink) write(line []byte, deadline time.Time) error {
	for len(line) > 0 {
		if err := waitWritable(s.fd, deadline); err != nil {
			return err
		}
		n, err := unix.Write(s.fd, line[:min(len(line), pipeRoom)])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			if !time.Now().Before(deadline) {
				return errStuck
			}
		case err != nil:
			return err
		default:
			line = line[n:]
		}
	}
	return nil
}

func (s *fdSink) close() error { return unix.Close(s.fd) }

// datagramSink sends to an address instead of connecting, so that a syslog daemon may come and go.
type datagramSink struct {
	fd int
	to unix.Sockaddr
}

func openDatagram(family int, to unix.Sockaddr) (sink, error) {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open datagram socket: %w", err)
	}
	return &datagramSink{fd, to}, nil
}

func openUDP(address string) (sink, error) {
	network := "udp"
	for prefix, n := range map[string]string{"udp@": "udp", "ipv4@": "udp4", "ipv6@": "udp6"} {
		if rest, ok := strings.CutPrefix(address, prefix); ok {
			network, address = n, rest
			break
		}
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		address = net.JoinHostPort(strings.Trim(address, "[]"), "514")
	}
	resolved, err := net.ResolveUDPAddr(network, address)
	if err != nil {
		return nil, fmt.Errorf("resolve: %w", err)
	}
	ap := resolved.AddrPort()
	ip := ap.Addr().Unmap()
	if ip.Is4() {
		return openDatagram(unix.AF_INET, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ip.As4()})
	}
	return openDatagram(unix.AF_INET6, &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ip.As16(), ZoneId: zoneID(ip)})
}

func zoneID(ip netip.Addr) uint32 {
	if itf, err := net.InterfaceByName(ip.Zone()); err == nil {
		return uint32(itf.Index)
	}
	return 0
}

func (s *datagramSink) write(line []byte, deadline time.Time) error {
	for {
		err := unix.Sendto(s.fd, line, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, s.to)
		switch err {
		case unix.EINTR:
		case unix.EAGAIN:
			// poll(2) says "writable" of a socket that is not connected, however full its peer is.
			if !time.Now().Before(deadline) {
				return errStuck
			}
			time.Sleep(time.Millisecond)
		default:
			return err
		}
	}
}

func (s *datagramSink) close() error { return unix.Close(s.fd) }

func waitWritable(fd int, deadline time.Time) error {
	p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	for {
		n, err := unix.Poll(p, int(max(0, time.Until(deadline).Milliseconds())))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return err
		case n == 0:
			return errStuck
		case p[0].Revents&unix.POLLOUT == 0:
			return unix.EPIPE
		default:
			return nil
		}
	}
}
