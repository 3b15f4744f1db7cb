package proxy

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"bufio"
)

// TestAgainstReverseProxy sends the same requests through the engine and through net/http's ReverseProxy to
// the same server: what the server sees and what the client gets must agree, but for what each says about
// its own hops, and for fields that Connection names, which ReverseProxy drops.
func TestAgainstReverseProxy(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(report))
	defer origin.Close()
	target, _ := url.Parse(origin.URL)
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	reference := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		Transport: transport,
	})
	defer reference.Close()
	w := start(t, []netip.AddrPort{netip.MustParseAddrPort(target.Host)})

	post := func(headers, body string) string {
		return "POST /p HTTP/1.1\r\nHost: t\r\n" + headers + "Connection: close\r\n\r\n" + body
	}
	requests := []string{
		"GET / HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nConnection: close\r\n\r\n",
		"GET /a/b?c=d&e=%20f HTTP/1.1\r\nHost: example.com:81\r\nUser-Agent: u\r\nConnection: close\r\n\r\n",
		"GET /%2e%2e/x;y=1 HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nConnection: close\r\n\r\n",
		"HEAD /h HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nConnection: close\r\n\r\n",
		"GET /?status=204 HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nConnection: close\r\n\r\n",
		"GET /?status=304 HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nConnection: close\r\n\r\n",
		"GET /?status=404 HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nConnection: close\r\n\r\n",
		"GET /?status=500&flush=1 HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nConnection: close\r\n\r\n",
		"GET /?flush=1 HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nConnection: close\r\n\r\n",
		"DELETE /x HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nConnection: close\r\n\r\n",
		"OPTIONS /x HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nConnection: close\r\n\r\n",
		"BREW /pot HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nX-A: 1\r\nX-A: 2\r\nCookie: a=b; c=d\r\nAccept:\r\nConnection: close\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nConnection: close\r\n\r\n",
		post("User-Agent: u\r\nContent-Length: 0\r\n", ""),
		post("User-Agent: u\r\nContent-Length: 5\r\n", "hello"),
		post("User-Agent: u\r\nContent-Length: 100000\r\n", strings.Repeat("x", 100000)),
		post("User-Agent: u\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n6;e=1\r\n world\r\n0\r\n\r\n"),
		post("User-Agent: u\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"),
	}
	for _, request := range requests {
		line, _, _ := strings.Cut(request, "\r\n")
		t.Run(line, func(t *testing.T) {
			ours, theirs := ask(t, w.addr, request), ask(t, reference.Listener.Addr().String(), request)
			if ours != theirs {
				t.Errorf("ours\n%s\nReverseProxy\n%s", ours, theirs)
			}
		})
	}
}

// report answers with what it was sent.
func report(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header()["Date"] = nil
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Add("X-Twice", "1")
	w.Header().Add("X-Twice", "2")
	status := 200
	_, _ = fmt.Sscan(r.URL.Query().Get("status"), &status)
	w.WriteHeader(status)
	if r.URL.Query().Has("flush") {
		w.(http.Flusher).Flush()
	}
	fmt.Fprintf(w, "%s %s %s\n%s%d bytes, %d long\n", r.Method, r.RequestURI, r.Host, fields(r.Header), len(body), r.ContentLength)
	w.Write(bytes.Repeat([]byte("."), 1000)) //nolint:errcheck // the client's loss
}

func fields(h http.Header) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		switch name {
		case "X-Forwarded-For", "Accept-Encoding", "Connection", "Date":
			continue
		}
		fmt.Fprintf(&text, "%s: %q\n", name, h[name])
	}
	return text.String()
}

// ask sends a request and renders the response.
func ask(t *testing.T, addr, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	method, _, _ := strings.Cut(request, " ")
	resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d\n%s\n%s", resp.StatusCode, fields(resp.Header), body)
}
