package proxy

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"waggle/pkg/config"
	"waggle/pkg/userlist"
	"waggle/pkg/userlist/crypt3"
)

// "secret" with few rounds, and what a client says who knows it, and one who does not.
const (
	secretHash = "$6$rounds=1000$abc$MqEcPZUYRGGcOeq7PhMpfjfu/F0HrVEI0OlZBijWvO8mSG77iNUDP5MqFceKpJTBc8iITVtNyLiNTRNCxv6oh0"
	rightOnes  = "Authorization: Basic YTpzZWNyZXQ=\r\n" // a:secret
	wrongOnes  = "Authorization: Basic YTp3cm9uZw==\r\n" // a:wrong
)

// loginWorld asks for a password at /private.
func loginWorld(t *testing.T) (*world, *userlist.List) {
	t.Helper()
	h, err := crypt3.Parse(secretHash)
	if err != nil {
		t.Fatal(err)
	}
	l := &userlist.List{Name: "l", Users: map[string]*userlist.User{"a": {Name: "a", Hash: h}}}
	w := start(t, []netip.AddrPort{showing(t, "x-a")}, func(s *Setup, fe, _ *config.Proxy) {
		fe.HTTPRequest = []config.HTTPRule{
			{Action: config.ActionAddHeader, Target: "x-a", Value: "before"},
			{Action: config.ActionAuth, Cond: condition(t, "if { path /private } !{ http_auth(l) }")},
			{Action: config.ActionAddHeader, Target: "x-a", Value: "behind"},
		}
		s.Config.Userlists = map[string]*userlist.List{"l": l}
	})
	return w, l
}

// While a password is checked the loop goes on, the client may leave, and only so many wait.
func TestPasswordsAreCheckedApart(t *testing.T) {
	w, l := loginWorld(t)
	gate, held := make(chan struct{}), make(chan struct{})
	w.engine.logins.Check(l, []byte("a"), []byte("held"), netip.Addr{}, func() { close(held); <-gate })
	receive(t, held, "the checker") // nothing is checked until the gate opens
	ask := func(fields string) *client {
		c := w.dial()
		c.send("GET /private HTTP/1.1\r\nHost: t\r\n" + fields + "\r\n")
		return c
	}
	waits, gone := ask(rightOnes), ask(rightOnes)
	eventually(t, "two wait", func() bool { return w.waiting() == 2 })
	gone.Close()
	other := w.dial()
	if status, _ := other.get("/other"); status != 200 {
		t.Errorf("status %d while a password waits", status)
	}
	if status, _ := other.get("/private"); status != 401 {
		t.Errorf("status %d without one", status)
	}
	for i := range 62 {
		w.engine.logins.Check(l, []byte("a"), fmt.Append(nil, i), netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), func() {})
	}
	if resp, _ := ask(wrongOnes).response("GET"); resp.StatusCode != 503 {
		t.Errorf("status %d when too many wait", resp.StatusCode)
	}
	close(gate)
	if resp, _ := waits.response("GET"); resp.StatusCode != 200 {
		t.Errorf("status %d with the right password", resp.StatusCode)
	}
	if resp, _ := ask(wrongOnes).response("GET"); resp.StatusCode != 401 || resp.Header.Get("www-authenticate") != `Basic realm="fe"` {
		t.Errorf("status %d with a wrong one, %v", resp.StatusCode, resp.Header)
	}
}

// waiting counts the sessions whose password is being checked.
func (w *world) waiting() int {
	n := 0
	for _, wk := range w.engine.workers {
		w.on(wk, func(wk *worker) {
			for s := wk.sessions; s != nil; s = s.next {
				if s.phase == checking {
					n++
				}
			}
		})
	}
	return n
}

// The rules go on where they waited, and are not begun again.
func TestRulesGoOnBehindAPassword(t *testing.T) {
	w, _ := loginWorld(t)
	c := w.dial()
	for range 2 { // the second time it is known
		c.send("GET /private HTTP/1.1\r\nHost: t\r\n" + rightOnes + "\r\n")
		resp, body := c.response("GET")
		if resp.StatusCode != 200 {
			t.Fatalf("status %d %s", resp.StatusCode, body)
		}
		if body != "[before behind]" {
			t.Errorf("the server was sent %s", body)
		}
	}
}

// showing is a server that answers with the values of a header that it was sent.
func showing(t *testing.T, name string) netip.AddrPort {
	t.Helper()
	return listen(t, answering(func(c net.Conn, req *http.Request, _ []byte) bool {
		text := fmt.Sprint(req.Header.Values(name))
		_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
		return err == nil
	}))
}

// Rules about a TCP client's first bytes wait for a password, too.
func TestPasswordsOfTCPClients(t *testing.T) {
	w := startConfig(t, fmt.Sprintf(`
userlist l
    user a password %s
defaults
    mode tcp
    timeout connect 1m
    timeout client 1m
    timeout server 1m
frontend fe
    bind 127.0.0.1:1
    tcp-request inspect-delay 1m
    tcp-request content reject if HTTP !{ http_auth(l) }
    default_backend b
backend b
    server s %s
`, secretHash, named(t, "s")))
	c := w.dial()
	c.send("GET / HTTP/1.1\r\nHost: t\r\n" + rightOnes + "\r\n")
	if resp, _ := c.response("GET"); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
	c = w.dial()
	c.send("GET / HTTP/1.1\r\nHost: t\r\n" + wrongOnes + "\r\n")
	if _, err := c.r.ReadByte(); err == nil {
		t.Error("a wrong password is let in")
	}
}

// Of several lists some may answer at once where another one takes its time, whichever is asked first: the password is
// checked against that one, and the request goes on.
func TestPasswordsOfSeveralLists(t *testing.T) {
	const lists = `
userlist slow
    user a password %s
userlist quick
    user a insecure-password other
userlist foreign
    user b password %s
%s
defaults
    mode %s
    timeout connect 1m
    timeout client 1m
    timeout server 1m
frontend fe
    bind 127.0.0.1:1
    tcp-request inspect-delay 1m
    %s
    default_backend b
backend b
    server s %s
`
	for _, first := range [][2]string{{"slow", "quick"}, {"quick", "slow"}, {"slow", "foreign"}, {"foreign", "slow"}} {
		cond := fmt.Sprintf("unless { http_auth(%s) } or { http_auth(%s) }", first[0], first[1])
		for mode, rule := range map[string]string{"http": "http-request auth ", "tcp": "tcp-request content reject "} {
			w := startConfig(t, fmt.Sprintf(lists, secretHash, secretHash, "", mode, rule+cond, named(t, "s")))
			c := w.dial()
			c.send("GET / HTTP/1.1\r\nHost: t\r\n" + rightOnes + "\r\n")
			if resp, _ := c.response("GET"); resp.StatusCode != 200 {
				t.Errorf("%s %v: status %d", mode, first, resp.StatusCode)
			}
		}
	}
}
