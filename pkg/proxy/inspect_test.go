package proxy

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/lab/haproxy"
	"waggle/pkg/lab/pki"
)

// tellsName is a TLS server that says its own name, and the name that it was asked for.
func tellsName(t *testing.T, ca *pki.Authority, name string) netip.AddrPort {
	cert := ca.Client(pki.Request{CN: name, Names: []string{"*.test"}})
	return listen(t, func(c net.Conn, _ *bufio.Reader) {
		secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
		if secure.Handshake() == nil {
			fmt.Fprintf(secure, "%s for %s", name, secure.ConnectionState().ServerName)
			secure.Close()
		}
	})
}

// startConfig runs a whole configuration.
func startConfig(t *testing.T, text string, opts ...option) *world {
	t.Helper()
	cfg, _, err := config.Parse("t", []byte(text), config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Proxies[0].Binds[0].Addr = netip.MustParseAddrPort("127.0.0.1:0")
	return start(t, nil, append(opts, func(s *Setup, _, _ *config.Proxy) { s.Config = cfg })...)
}

// Clients reach the server of the name that they ask for by TLS, which nobody ends on the way.
func TestRoutingBySNI(t *testing.T) {
	ca := pki.New(t)
	a, b := tellsName(t, ca, "a"), tellsName(t, ca, "b")
	w := startConfig(t, fmt.Sprintf(`
defaults
    mode tcp
    timeout connect 1m
    timeout client 1m
    timeout server 1m
frontend fe
    bind 127.0.0.1:1
    tcp-request inspect-delay 1m
    tcp-request content reject if !{ req.ssl_hello_type 1 }
    use_backend a if { req.ssl_sni -i a.test }
    use_backend a if { req.ssl_sni -m end .sub.test }
    default_backend b
backend a
    server s %s
backend b
    server s %s
`, a, b))
	for name, want := range map[string]string{
		"a.test": "a for a.test", "A.Test": "a for a.test", "b.test": "b for b.test", "x.sub.test": "a for x.sub.test", "": "b for ",
	} {
		for _, whole := range []bool{true, false} {
			conn := net.Conn(w.dial().TCPConn)
			if !whole {
				conn = drip{conn}
			}
			secure := tls.Client(conn, &tls.Config{ServerName: name, InsecureSkipVerify: true})
			got, err := io.ReadAll(secure)
			if err != nil || !strings.EqualFold(string(got), want) {
				t.Errorf("%q, in one piece %v: %q, %v, want %q", name, whole, got, err, want)
			}
			conn.Close()
		}
	}
	c := w.dial()
	c.send("GET / HTTP/1.1\r\n\r\n")
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("who speaks no TLS got %q", got)
	}
	eventually(t, "it is counted", func() bool { return w.pool.Frontends[0].Counters.Sum().DeniedReq == 1 })
}

// drip writes byte by byte.
type drip struct{ net.Conn }

func (d drip) Write(b []byte) (int, error) {
	for i := range b {
		if _, err := d.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// What is not decided when the time for inspection is over is decided by what has come; a client that has closed its
// side, or filled the buffer, need not wait for that.
func TestInspectDelay(t *testing.T) {
	echo := listen(t, func(c net.Conn, r *bufio.Reader) { io.Copy(struct{ io.Writer }{c}, r) })
	text := `
defaults
    mode tcp
    timeout connect 1m
    timeout client 1m
    timeout server 1m
frontend fe
    bind 127.0.0.1:1
    tcp-request inspect-delay %s
    tcp-request content %s
    tcp-request content reject
    default_backend b
backend b
    server s ` + echo.String() + "\n"
	for _, tc := range []struct {
		rule, say string
		fin       bool
		delay     time.Duration
		taken     bool
		waits     bool
	}{
		{rule: "accept if { req.len gt 3 }", say: "abcd", delay: patience, taken: true},
		{rule: "accept if { req.len gt 3 }", say: "abc", delay: 2 * short, waits: true},
		{rule: "accept if { req.len gt 3 }", say: "abc", fin: true, delay: patience},
		{rule: "accept if WAIT_END", say: "abc", delay: 2 * short, taken: true, waits: true},
		{rule: "accept if { req.payload(0,4) -m str SSH- }", say: "SSH-2.0", delay: patience, taken: true},
		{rule: "accept if { req.payload(0,4) -m str SSH- }", say: "GET / ", delay: patience},
		{rule: "accept if { req.payload(0,0) -m sub zz }", say: strings.Repeat("a", 40_000), delay: patience},
		{rule: "accept if !{ req.len gt 3 }", say: "", delay: 2 * short, taken: true, waits: true},
	} {
		w := startConfig(t, fmt.Sprintf(text, fmt.Sprint(tc.delay.Milliseconds(), "ms"), tc.rule))
		begun := time.Now()
		c := w.dial()
		io.WriteString(c.TCPConn, tc.say)
		if tc.fin {
			c.CloseWrite()
		}
		if tc.taken && len(tc.say) > 0 {
			got := make([]byte, len(tc.say))
			if _, err := io.ReadFull(c.r, got); err != nil || string(got) != tc.say {
				t.Errorf("%s: %q came back, %v", tc.rule, got, err)
			}
		} else if tc.taken {
			eventually(t, "the session is with the server", func() bool { return w.pool.Backends[0].Sessions.Load() == 1 })
		} else if got, _ := io.ReadAll(c.r); len(got) > 0 {
			t.Errorf("%s: got %q", tc.rule, got)
		}
		if took := time.Since(begun); tc.waits != (took >= tc.delay) {
			t.Errorf("%s: it took %v of %v", tc.rule, took, tc.delay)
		}
		c.Close()
		eventually(t, "the session has ended", func() bool { return w.pool.Frontends[0].Sessions.Load() == 0 })
	}
}

// TCP clients that speak HTTP reach the server of their host, on which rules for a request's head can look; those that
// speak something else are not waited for. HAProxy 2.6 answers the same on the same configuration.
func TestRoutingByRequestOverTCP(t *testing.T) {
	says := func(name string) netip.AddrPort {
		return listen(t, func(c net.Conn, r *bufio.Reader) {
			head, _ := r.ReadString('\n')
			fmt.Fprintf(c, "%s got %s", name, head)
			c.Close()
		})
	}
	text := fmt.Sprintf(`
defaults
    mode tcp
    timeout connect 1m
    timeout client 1h
    timeout server 1h
frontend fe
    bind 127.0.0.1:1
    tcp-request inspect-delay 1h
    tcp-request content reject if { path_beg /forbidden }
    tcp-request content accept if HTTP
    tcp-request content reject if { req.len gt 20 }
    use_backend a if { req.hdr(host) -i a.test }
    use_backend a if METH_POST { url_param(to) a }
    default_backend b
backend a
    server s %s
backend b
    server s %s
`, says("a"), says("b"))
	w := startConfig(t, text)
	ours := w.dial().RemoteAddr().String()
	socket, theirs := haproxy.Listen(t)
	haproxy.Start(t, strings.Replace(text, "127.0.0.1:1\n", "fd@3\n", 1), haproxy.Options{Sockets: []*net.TCPListener{socket}})
	for said, want := range map[string]string{
		"GET /x HTTP/1.1\r\nHost: A.test\r\n\r\n":            "a got GET /x HTTP/1.1\r\n",
		"GET /x HTTP/1.1\r\nHost: b.test\r\n\r\n":            "b got GET /x HTTP/1.1\r\n",
		"POST /?to=a HTTP/1.1\r\nHost: b.test\r\n\r\n":       "a got POST /?to=a HTTP/1.1\r\n",
		"GET /forbidden/x HTTP/1.1\r\nHost: b.test\r\n\r\n":  "",
		"\x16\x03 this is something else, and long enough\n": "",
	} {
		for _, addr := range []string{ours, theirs} {
			for _, whole := range []bool{true, false} {
				tcp, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				_ = tcp.SetDeadline(time.Now().Add(patience))
				conn := tcp
				if !whole {
					conn = drip{tcp}
				}
				_, _ = conn.Write([]byte(said))
				got, err := io.ReadAll(tcp)
				if string(got) != want || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("to %s, in one piece %v, %q got %q, %v, want %q", addr, whole, said, got, err, want)
				}
				tcp.Close()
			}
		}
	}
}
