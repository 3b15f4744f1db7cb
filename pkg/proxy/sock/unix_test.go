package sock

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"waggle/pkg/unixaddr"
)

// A socket takes the place of the one before, which goes on for those who have connected; a file that is no socket stays.
func TestUnixSocketsTakeTheirPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	addr := unixaddr.Of(path)
	for range 2 {
		fd, bound, err := Listen(addr, ListenOptions{Mode: 0o640, Owner: Owner{User: os.Getuid(), Group: -1}})
		if err != nil || bound != addr {
			t.Fatal(bound, err)
		}
		defer Close(fd)
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != os.ModeSocket|0o640 {
			t.Errorf("%v %v", info.Mode(), err)
		}
		client, errno := Connect(addr, "bbr", Source{})
		if errno != 0 {
			t.Fatal(errno)
		}
		defer Close(client)
		server, peer, errno := Accept(fd)
		if errno != 0 || peer.IsValid() || LocalAddr(server).IsValid() {
			t.Errorf("%v, from %v to %v", errno, peer, LocalAddr(server))
		}
		Close(server)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if fd, _, err := Listen(addr, ListenOptions{}); err == nil {
		Close(fd)
		t.Error("it listens in the place of a file")
	}
	if b, err := os.ReadFile(path); string(b) != "mine" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	if left, err := filepath.Glob(path + ".*"); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// Names in the abstract namespace, padded and not, are different sockets.
func TestAbstractSockets(t *testing.T) {
	name := filepath.Base(t.TempDir()) + "-" + filepath.Base(filepath.Dir(t.TempDir()))
	padded, plain := unixaddr.Of(unixaddr.Padded+name), unixaddr.Of(unixaddr.Unpadded+name)
	fd, _, err := Listen(padded, ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer Close(fd)
	if _, errno := Connect(plain, "", Source{}); errno != unix.ECONNREFUSED {
		t.Errorf("the other name: %v", errno)
	}
	client, errno := Connect(padded, "", Source{})
	if errno != 0 {
		t.Fatal(errno)
	}
	Close(client)
}
