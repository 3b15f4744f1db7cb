package h1

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/haproxy"
	"waggle/pkg/lab/require"
)

// startHAProxy runs HAProxy with the lines given in a frontend that listens on the returned address.
func startHAProxy(t *testing.T, lines string) (addr string) {
	t.Helper()
	socket, addr := haproxy.Listen(t)
	haproxy.Start(t, "defaults\n mode http\n timeout connect 2s\n timeout client 5s\n timeout server 5s\nfrontend f\n bind fd@3\n"+lines,
		haproxy.Options{Sockets: []*net.TCPListener{socket}})
	return addr
}

// ask sends a request and reads the answer to its end.
func ask(t *testing.T, addr string, request []byte) []byte {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%q: %v", request, err)
	}
	return fmt.Appendf(nil, "%d %s", resp.StatusCode, body)
}

// What our parser takes, HAProxy takes: where we are laxer than it, a server behind us could be shown what it was not
// shown before.
func TestHAProxyTakesWhatWeTake(t *testing.T) {
	addr := startHAProxy(t, " http-request return status 200 content-type text/plain string taken\n")
	m := message{rand.New(rand.NewPCG(3, 4))}
	for n := 0; n < 400; {
		in := []byte(m.request())
		var r Request
		if size, why := r.Parse(in); size == 0 || why != OK || r.Method == MethodHead {
			continue
		}
		n++
		// Whatever body there is need not come: HAProxy answers by the head.
		if answer := ask(t, addr, in); string(answer) != "200 taken" {
			t.Errorf("%q: HAProxy answers %q", in, answer)
		}
	}
}

func TestErrorsAreHAProxys(t *testing.T) {
	version, err := exec.Command(require.Tool(t, "haproxy"), "-v").Output()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(version, []byte("version 2.6.")) {
		require.Skip(t, "the wording is compared with HAProxy 2.6")
	}
	var rules strings.Builder
	for _, c := range haproxyErrors {
		fmt.Fprintf(&rules, " http-request deny deny_status %d if { path /%d }\n", c.status, c.status)
	}
	addr := startHAProxy(t, rules.String())
	for _, c := range haproxyErrors {
		theirs := ask(t, addr, fmt.Appendf(nil, "GET /%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", c.status))
		_, ours, _ := bytes.Cut(AppendError(nil, c.status, Reply{}), []byte("\r\n\r\n"))
		if want := fmt.Appendf(nil, "%d %s", c.status, ours); !bytes.Equal(theirs, want) {
			t.Errorf("%d: HAProxy says %q, we %q", c.status, theirs, want)
		}
	}
}
