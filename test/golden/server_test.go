package golden

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// serverCount is how many servers there are: s1, s2, …
const serverCount = 4

// startServers runs the servers and gives their addresses by name.
func startServers(t *testing.T, net byte) map[string]string {
	t.Helper()
	addrs := make(map[string]string)
	for i := range serverCount {
		name := fmt.Sprintf("s%d", i+1)
		addr := fmt.Sprintf("127.77.%d.%d:8001", net, 100+i)
		addrs[name] = addr
		serve(t, name, addr)
	}
	addrs["dead"] = fmt.Sprintf("127.77.%d.99:8001", net)
	return addrs
}

func serve(t *testing.T, name, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: echo(name), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
}

// echo answers with what it was sent, a line for each header in an order of its own.
func echo(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("X-Server", name)
		w.Header().Set("Content-Type", cmp.Or(r.Header.Get("X-Type"), "text/plain"))
		for _, h := range r.Header["X-Set"] {
			key, value, _ := strings.Cut(h, ":")
			w.Header().Add(strings.TrimSpace(key), strings.TrimSpace(value))
		}
		lines := []string{"host: " + r.Host}
		for key, values := range r.Header {
			for _, v := range values {
				lines = append(lines, strings.ToLower(key)+": "+v)
			}
		}
		slices.Sort(lines)
		text := fmt.Sprintf("%s %s %s\n%s\n\n%s", r.Method, r.RequestURI, r.Proto, strings.Join(lines, "\n"), body)
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		status := 200
		if n, err := strconv.Atoi(r.Header.Get("X-Status")); err == nil {
			status = n
		}
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			_, _ = io.WriteString(w, text)
		}
	}
}

// collector receives log lines.
type collector struct {
	conn *net.UDPConn
}

func startCollector(t *testing.T) *collector {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &collector{conn}
}

// next waits for a line that is about a request and gives its text.
func (c *collector) next() (string, error) {
	buf := make([]byte, 8192)
	for {
		_ = c.conn.SetReadDeadline(time.Now().Add(patience))
		n, err := c.conn.Read(buf)
		if err != nil {
			return "", err
		}
		if _, text, ok := strings.Cut(string(buf[:n]), "#"); ok { // formats of the scenarios begin with it
			return strings.TrimSpace(text), nil
		}
	}
}
