package agent

import (
	"net"
	"net/netip"
	"path/filepath"
	"testing"

	"waggle/pkg/config"
)

// TestAReloadThatFailsLeavesTheStatsSockets: those in use are found as before, whatever the configuration that failed
// wanted of them.
func TestAReloadThatFailsLeavesTheStatsSockets(t *testing.T) {
	s, path := &sockets{}, filepath.Join(t.TempDir(), "s")
	cfg := func(mode uint32, level string, tcp netip.AddrPort) *config.Config {
		return &config.Config{Global: config.Global{StatsSockets: []config.StatsSocket{
			{Path: path, Mode: mode, Level: level}, {Addr: tcp, Level: level},
		}}}
	}
	first := cfg(0o600, "user", netip.MustParseAddrPort("127.0.0.1:0"))
	c, err := s.prepare(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.commit(); err != nil {
		t.Fatal(err)
	}
	defer s.closeStats()
	tcp := s.stats[1].listener.Addr().(*net.TCPAddr).AddrPort()
	if c, err = s.prepare(cfg(0o660, "admin", tcp)); err != nil {
		t.Fatal(err)
	}
	c.discard()
	for _, o := range s.stats {
		conn, err := net.Dial(o.listener.Addr().Network(), o.listener.Addr().String())
		if err != nil {
			t.Error(err)
			continue
		}
		conn.Close()
	}
}
