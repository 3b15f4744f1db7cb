package runtimeapi

import (
	"bytes"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"waggle/pkg/config"
)

// listen opens the socket of a `stats socket` line and puts it in its place.
func listen(cfg config.StatsSocket) (Listener, error) {
	o, err := Open(cfg, nil)
	if err != nil {
		return Listener{}, err
	}
	if err := o.Place(); err != nil {
		o.Discard()
		return Listener{}, err
	}
	return o.Listener, nil
}

func TestASocketThatTheProcessWasStartedWith(t *testing.T) {
	parent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer parent.Close()
	file, err := parent.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for range 2 { // a reload may take it away and bring it back
		l, err := listen(config.StatsSocket{FD: int(file.Fd()), Level: "admin"})
		if err != nil {
			t.Fatal(err)
		}
		if l.Level != Admin || l.Addr().String() != parent.Addr().String() {
			t.Errorf("%v at %v", l.Level, l.Addr())
		}
		client, err := net.Dial("tcp", parent.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if c, err := l.Accept(); err != nil {
			t.Error(err)
		} else {
			c.Close()
		}
		client.Close()
		l.Close()
	}
	if l, err := listen(config.StatsSocket{FD: 1 << 20}); err == nil {
		l.Close()
		t.Error("a descriptor that is not open is taken")
	}
}

// With -sf the new process listens before the old one lets go, whoever has which of the two sockets.
func TestTwoProcessesListenAtOneAddress(t *testing.T) {
	old, err := listen(config.StatsSocket{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	at := old.Addr().String()
	next, err := listen(config.StatsSocket{Addr: netip.MustParseAddrPort(at)})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	old.Close()
	client, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	c, err := next.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestModeAndLevelOfASocket(t *testing.T) {
	cfg := socket(t)
	cfg.Level = ""
	l, err := listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Lstat(cfg.Path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Mode().Type() != fs.ModeSocket {
		t.Errorf("the socket is %v, %v", info, err)
	}
	if l.Level != Operator {
		t.Errorf("level %v, want operator", l.Level)
	}
}

func TestASocketIsNowhereElseBeforeItHasItsMode(t *testing.T) {
	cfg := socket(t)
	dir := filepath.Dir(cfg.Path)
	watch, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	if _, err := unix.InotifyAddWatch(watch, dir, unix.IN_CREATE|unix.IN_MOVED_TO); err != nil {
		t.Fatal(err)
	}
	l, err := listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	events := make([]byte, 4096)
	n, err := unix.Read(watch, events)
	if err != nil {
		t.Fatal(err)
	}
	moved := false
	for at := 0; at < n; {
		e := (*unix.InotifyEvent)(unsafe.Pointer(&events[at]))
		name := string(bytes.TrimRight(events[at+unix.SizeofInotifyEvent:at+unix.SizeofInotifyEvent+int(e.Len)], "\x00"))
		if e.Mask&unix.IN_CREATE != 0 && e.Mask&unix.IN_ISDIR == 0 {
			t.Errorf("%s was made where others can reach it", name)
		}
		moved = moved || e.Mask&unix.IN_MOVED_TO != 0 && name == filepath.Base(cfg.Path)
		at += unix.SizeofInotifyEvent + int(e.Len)
	}
	if left, _ := os.ReadDir(dir); !moved || len(left) != 1 {
		t.Errorf("moved to its place: %v; the directory holds %v", moved, left)
	}
}

func TestASocketIsTakenOver(t *testing.T) {
	cfg := socket(t)
	old, err := listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	next, err := listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Error(err)
	}
	conn, err := net.Dial("unix", cfg.Path)
	if err != nil {
		t.Fatalf("the successor cannot be reached: %v", err)
	}
	conn.Close()
	next.Close()
	if names, _ := filepath.Glob(cfg.Path + "*"); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestTheLongestPathThatTheConfigurationAllows(t *testing.T) {
	dir := t.TempDir()
	const longest = 97
	if n := longest - len("/s") - len(dir) - 1; n > 0 {
		dir = filepath.Join(dir, strings.Repeat("d", n))
	} else {
		t.Skip("the temporary directory has too long a name")
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := listen(config.StatsSocket{Path: path})
	if err != nil || len(path) != longest {
		t.Fatalf("%d bytes: %v", len(path), err)
	}
	dial(t, l).Close()
	l.Close()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestASocketStaysWhileAnotherOneIsNotCertain(t *testing.T) {
	cfg := socket(t)
	old, err := listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	cfg.Mode = 0o660
	next, err := Open(cfg, []Listener{old})
	if err != nil {
		t.Fatal(err)
	}
	next.Discard()
	dial(t, old).Close()
	info, err := os.Lstat(cfg.Path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket is %v, %v", info, err)
	}
	if left, _ := os.ReadDir(filepath.Dir(cfg.Path)); len(left) != 1 {
		t.Errorf("the directory holds %v", left)
	}
}

func TestTwoLevelsOfOneAddress(t *testing.T) {
	old, err := listen(config.StatsSocket{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Level: "user"})
	if err != nil {
		t.Fatal(err)
	}
	next, err := Open(config.StatsSocket{Addr: netip.MustParseAddrPort(old.Addr().String()), Level: "admin"}, []Listener{old})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := next.Place(); err != nil {
		t.Error(err)
	}
	old.Close()
	dial(t, next.Listener).Close()
	if next.Level != Admin {
		t.Errorf("level %v", next.Level)
	}
}

func TestASocketNeverReplacesAFile(t *testing.T) {
	cfg := socket(t)
	if err := os.WriteFile(cfg.Path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err := listen(cfg); err == nil {
		l.Close()
		t.Error("it did")
	}
}

func TestUnknownLevelOfASocket(t *testing.T) {
	cfg := socket(t)
	cfg.Level = "root"
	if _, err := listen(cfg); err == nil || !strings.Contains(err.Error(), "root") {
		t.Errorf("error %v", err)
	}
}
