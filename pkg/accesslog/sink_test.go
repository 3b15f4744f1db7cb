package accesslog

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAddresses(t *testing.T) {
	for address, want := range map[string]unix.Sockaddr{
		"127.0.0.1":            &unix.SockaddrInet4{Port: 514, Addr: [4]byte{127, 0, 0, 1}},
		"127.0.0.1:1514":       &unix.SockaddrInet4{Port: 1514, Addr: [4]byte{127, 0, 0, 1}},
		"udp@127.0.0.1:1514":   &unix.SockaddrInet4{Port: 1514, Addr: [4]byte{127, 0, 0, 1}},
		"ipv4@127.0.0.1":       &unix.SockaddrInet4{Port: 514, Addr: [4]byte{127, 0, 0, 1}},
		"ipv6@[::1]:1514":      &unix.SockaddrInet6{Port: 1514, Addr: [16]byte{15: 1}},
		"[::1]":                &unix.SockaddrInet6{Port: 514, Addr: [16]byte{15: 1}},
		"::1":                  &unix.SockaddrInet6{Port: 514, Addr: [16]byte{15: 1}},
		"[::ffff:10.0.0.1]:99": &unix.SockaddrInet4{Port: 99, Addr: [4]byte{10, 0, 0, 1}},
		"/dev/log":             &unix.SockaddrUnix{Name: "/dev/log"},
		"unix@/run/log":        &unix.SockaddrUnix{Name: "/run/log"},
	} {
		s, err := openSink(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		same := false
		switch to := s.(*datagramSink).to.(type) {
		case *unix.SockaddrInet4:
			w, ok := want.(*unix.SockaddrInet4)
			same = ok && to.Port == w.Port && to.Addr == w.Addr
		case *unix.SockaddrInet6:
			w, ok := want.(*unix.SockaddrInet6)
			same = ok && to.Port == w.Port && to.Addr == w.Addr
		case *unix.SockaddrUnix:
			w, ok := want.(*unix.SockaddrUnix)
			same = ok && to.Name == w.Name
		}
		if !same {
			t.Errorf("%s goes to %+v, want %+v", address, s.(*datagramSink).to, want)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}

// Closing a logger closes its own copy of a descriptor and no other.
func TestDescriptorStaysOpen(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, err := openFD(int(f.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 3*pipeRoom) + "\n"
	if err := s.write([]byte(long), time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("end"); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(f.Name()); err != nil || string(got) != long+"end" {
		t.Errorf("the file has %d bytes, %v; want %d", len(got), err, len(long)+3)
	}
	if err := s.write([]byte("x"), time.Now()); err == nil || errors.Is(err, fs.ErrClosed) {
		t.Errorf("writing to a closed sink: %v", err)
	}
}

// A reader that has gone is an error, not a wait, and no SIGPIPE ends the process.
func TestReaderGone(t *testing.T) {
	target, p := pipeTarget(t, "raw")
	l := newLogger(t, utc(), target)
	_ = p.r.Close()
	l.Process(Info, "to nobody")
	if err := l.Close(); err != nil || l.Dropped() != 1 {
		t.Errorf("%d lines dropped, want 1; %v", l.Dropped(), err)
	}
}

// A syslog daemon may start after us, and again.
func TestDaemonComesAndGoes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	s, err := openSink(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for round := range 2 {
		if err := s.write([]byte("nobody listens\n"), time.Now()); err == nil {
			t.Errorf("round %d: a line to nobody is no error", round)
		}
		daemon, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.write([]byte("hello\n"), time.Now()); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, err := daemon.Read(buf)
		if err != nil || string(buf[:n]) != "hello\n" {
			t.Fatalf("round %d: %q, %v", round, buf[:n], err)
		}
		_ = daemon.Close()
		_ = os.Remove(path)
	}
}

// A datagram to a daemon that does not read is given up.
func TestStuckDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	s, err := openSink(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	for range 100_000 {
		if err = s.write([]byte("line\n"), time.Now()); err != nil {
			break
		}
	}
	if !errors.Is(err, errStuck) {
		t.Errorf("after many lines that nobody reads: %v, want %v", err, errStuck)
	}
}
