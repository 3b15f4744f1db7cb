package labtest

import (
	"net"
	"net/netip"
	"testing"
)

// What is given away is given to nobody else meanwhile, and is not what the kernel gives to connections and listeners.
func TestFreeAddressesAreNobodyElses(t *testing.T) {
	low, high := assignablePorts(t)
	given := map[netip.AddrPort]bool{}
	t.Run("while a test runs", func(t *testing.T) {
		for range 500 {
			addr := FreeAddr(t)
			if given[addr] {
				t.Errorf("%s is given twice", addr)
			}
			given[addr] = true
			if release, err := reservePort(int(addr.Port())); err == nil {
				release()
				t.Errorf("another process could have %s, too", addr)
			}
		}
	})
	kept := 0 // or another process has been given it since
	for addr := range given {
		if release, err := reservePort(int(addr.Port())); err == nil {
			release()
		} else {
			kept++
		}
	}
	if kept > len(given)/2 {
		t.Errorf("%d of %d addresses are not given back", kept, len(given))
	}
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if port := l.Addr().(*net.TCPAddr).Port; port >= low && port < high && high-low < 1<<15 { // of more, the kernel gives nearly all
			t.Errorf("the kernel gives port %d", port)
		}
		_ = l.Close()
	}
}
