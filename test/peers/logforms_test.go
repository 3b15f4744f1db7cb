package peers

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/pki"
)

// TestNamedLogFormatsAsHAProxy: the lines of the options that name a format are those of HAProxy, but for numbers and times.
func TestNamedLogFormatsAsHAProxy(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Server", "me")
		fmt.Fprint(w, "hello")
	}))
	t.Cleanup(server.Close)
	certificate := pki.New(t).File(t.TempDir(), "site.pem", pki.Request{CN: "site.test", Names: []string{"site.test"}})
	for _, option := range []string{"httplog", "httplog clf", "httpslog"} {
		var told [][]string
		for _, contender := range []string{"waggle", "haproxy"} {
			logs, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { logs.Close() })
			plain, secure := labtest.FreeAddr(t).String(), labtest.FreeAddr(t).String()
			config := fmt.Sprintf(`%s
frontend web
    bind %s
    bind %s ssl crt %s alpn http/1.1
    log %s format raw local0
    capture request header Host len 20
    capture response header Server len 20
    option %s
    default_backend app
backend app
    server a %s
`, defaults, plain, secure, certificate, logs.LocalAddr(), option, server.Listener.Addr())
			contend(t, contender, config, plain)
			var lines []string
			for _, url := range []string{"http://" + plain + "/a?b=%22c", "https://" + secure + "/secure"} {
				get(t, url)
				lines = append(lines, line(t, logs, "site.test"))
			}
			told = append(told, lines)
		}
		for i := range told[0] {
			if told[0][i] != told[1][i] {
				t.Errorf("option %s:\nwaggle  %q\nHAProxy %q", option, told[0][i], told[1][i])
			}
		}
		if option == "httpslog" && !strings.Contains(told[0][1], "site.test/TLSv#.#/") {
			t.Errorf("option httpslog over TLS: %q", told[0][1])
		}
	}
}

// get asks for a page of site.test on a connection of its own.
func get(t *testing.T, url string) {
	t.Helper()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, ServerName: "site.test", MaxVersion: tls.VersionTLS12, //nolint:gosec // both name the suites of 1.2 alike
	}}}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "site.test"
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
}

var (
	month  = regexp.MustCompile(`/[A-Z][a-z]{2}/`)
	digits = regexp.MustCompile(`-?[0-9]+`)
	suite  = regexp.MustCompile(`/ECDHE[A-Z#-]+$`) // the balancers prefer different ones
)

// line reads log lines until one has the mark, and takes out of it what differs from run to run.
func line(t *testing.T, logs net.PacketConn, mark string) string {
	t.Helper()
	buffer := make([]byte, 4096)
	for {
		_ = logs.SetReadDeadline(time.Now().Add(patience))
		n, _, err := logs.ReadFrom(buffer)
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.TrimSpace(string(buffer[:n])); strings.Contains(text, mark) {
			return suite.ReplaceAllString(digits.ReplaceAllString(month.ReplaceAllString(text, "/Mon/"), "#"), "/suite")
		}
	}
}
