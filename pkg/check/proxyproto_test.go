package check

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"

	"waggle/pkg/pool"
)

// TestChecksAnnounceThemselves to servers with send-proxy, which would take the check for nonsense otherwise.
func TestChecksAnnounceThemselves(t *testing.T) {
	for _, tc := range []struct {
		version   int
		otherPort bool
		want      string // before the request; %s is the client's, and the server's, address
	}{
		{0, false, ""},
		{1, false, "PROXY TCP4 127.0.0.1 127.0.0.1 %d %d\r\n"},
		{2, false, localHeader},
		{1, true, ""},
	} {
		t.Run(fmt.Sprint(tc.version, tc.otherPort), func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			came := make(chan string, 1)
			go func() {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				want := tc.want
				if tc.version == 1 && want != "" {
					want = fmt.Sprintf(want, c.RemoteAddr().(*net.TCPAddr).Port, c.LocalAddr().(*net.TCPAddr).Port)
				}
				r := bufio.NewReader(c)
				header := make([]byte, len(want))
				_, _ = io.ReadFull(r, header)
				if string(header) != want {
					t.Errorf("header %q, want %q", header, want)
				}
				line, _ := r.ReadString('\n')
				came <- line
				_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n")
			}()
			addr := netip.MustParseAddrPort(ln.Addr().String())
			o := pool.DefaultServerOptions()
			o.Name, o.Addr, o.Check, o.SendProxy = "s", addr, true, tc.version
			server := pool.New(1).AddBackend(pool.BackendOptions{Name: "be"}).AddServer(o)
			spec := Spec{Server: server, Options: enabled(unhurried), Check: plainHTTP()}
			if tc.otherPort {
				spec.Options.Port = int(addr.Port())
			}
			spec.run(t.Context(), direct, addr)
			if v := server.View(); v.Check.Status != pool.CheckL7OK {
				t.Fatalf("check %+v", v.Check)
			}
			if line := <-came; line != "OPTIONS / HTTP/1.0\r\n" {
				t.Errorf("request %q", line)
			}
		})
	}
}
