package peers

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/pattern"
	"waggle/pkg/lab/require"
)

// nginx serves a directory.
func nginx(t *testing.T, dir string) (addr string) {
	t.Helper()
	path := require.Tool(t, "nginx")
	addr = labtest.FreeAddr(t).String()
	work := t.TempDir()
	config := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/pid; error_log stderr;
events { }
http {
	access_log off; default_type application/octet-stream; sendfile on;
	client_body_temp_path %[1]s/1; proxy_temp_path %[1]s/2; fastcgi_temp_path %[1]s/3; uwsgi_temp_path %[1]s/4; scgi_temp_path %[1]s/5;
	server { listen %[2]s; root %[3]s; }
}
`, work, addr, dir)
	file := filepath.Join(work, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, exec.Command(path, "-e", "stderr", "-p", work, "-c", file), addr)
	return addr
}

// pythonServer serves a directory by Python's http.server, which speaks HTTP/1.0.
func pythonServer(t *testing.T, dir string) (addr string) {
	t.Helper()
	path := require.Tool(t, "python3")
	addr = labtest.FreeAddr(t).String()
	host, port, _ := net.SplitHostPort(addr)
	run(t, exec.Command(path, "-m", "http.server", "--bind", host, "--directory", dir, port), addr)
	return addr
}

// untilClose serves bytes whose end is the connection's, in HTTP/1.0.
const untilClose = `
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
        self.wfile.write(open(sys.argv[2] + self.path, 'rb').read())
http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()
`

// TestServers: every body comes through nginx and Python's servers as it is, over kept connections and over new ones.
func TestServers(t *testing.T) {
	dir := files(t)
	for name, start := range map[string]func(t *testing.T) string{
		"nginx":  func(t *testing.T) string { return nginx(t, dir) },
		"python": func(t *testing.T) string { return pythonServer(t, dir) },
		"python, until close": func(t *testing.T) string {
			addr := labtest.FreeAddr(t).String()
			_, port, _ := net.SplitHostPort(addr)
			run(t, exec.Command(require.Tool(t, "python3"), "-c", untilClose, port, dir), addr)
			return addr
		},
	} {
		t.Run(name, func(t *testing.T) {
			front := between(t, start(t))
			for _, keep := range []bool{true, false} {
				transport := &http.Transport{DisableCompression: true, DisableKeepAlives: !keep}
				client := &http.Client{Transport: transport, Timeout: patience}
				for _, n := range sizes {
					resp, err := client.Get(fmt.Sprintf("http://%s/%d", front, n))
					if err != nil {
						t.Fatal(err)
					}
					if got, want := sum(t, resp.Body), sum(t, pattern.Reader(n)); got != want || resp.StatusCode != 200 {
						t.Errorf("keep %v: status %d, got %s, want %s", keep, resp.StatusCode, got, want)
					}
					resp.Body.Close()
				}
				transport.CloseIdleConnections()
			}
		})
	}
}

// webSocketServer answers the handshake of RFC 6455 and sends every frame back.
const webSocketServer = `
import base64, hashlib, socketserver, sys
class H(socketserver.StreamRequestHandler):
    def handle(self):
        key = ''
        if not self.rfile.readline(): return
        while True:
            line = self.rfile.readline().decode().strip()
            if not line: break
            name, value = line.split(':', 1)
            if name.lower() == 'sec-websocket-key': key = value.strip()
        accept = base64.b64encode(hashlib.sha1((key + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').encode()).digest()).decode()
        self.wfile.write(('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ' + accept + '\r\n\r\n').encode())
        while True:
            head = self.rfile.read(2)
            if len(head) < 2: return
            n = head[1] & 127
            more = self.rfile.read({126: 2, 127: 8}.get(n, 0))
            if more: n = int.from_bytes(more, 'big')
            mask = self.rfile.read(4)
            data = self.rfile.read(n)
            whole = (mask * (n // 4 + 1))[:n]
            data = (int.from_bytes(data, 'big') ^ int.from_bytes(whole, 'big')).to_bytes(n, 'big')
            self.wfile.write(bytes([head[0], head[1] & 127]) + more + data)
            if head[0] & 15 == 8: return
class S(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
S(('127.0.0.1', int(sys.argv[1])), H).serve_forever()
`

// TestWebSocketEcho: handshake, frames of all three lengths, and the close, through the balancer.
func TestWebSocketEcho(t *testing.T) {
	server := labtest.FreeAddr(t).String()
	_, port, _ := net.SplitHostPort(server)
	run(t, exec.Command(require.Tool(t, "python3"), "-c", webSocketServer, port), server)
	webSocketEcho(t, dial(t, between(t, server)))
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// webSocketEcho is a WebSocket client over a connection of any kind.
func webSocketEcho(t *testing.T, c net.Conn) {
	t.Helper()
	fmt.Fprint(c, "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	head := make([]byte, 0, 512)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		var b [1]byte
		if _, err := c.Read(b[:]); err != nil {
			t.Fatalf("after %q: %v", head, err)
		}
		head = append(head, b[0])
	}
	// The value is the example's of RFC 6455 section 1.3.
	if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") || !strings.Contains(string(head), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=") {
		t.Fatalf("handshake: %q", head)
	}
	const text, closing = 0x81, 0x88
	for _, n := range []int64{0, 5, 125, 126, 65535, 65536, 1_000_000} {
		payload, _ := io.ReadAll(pattern.Reader(n))
		sent := make(chan error, 1)
		go func() { _, err := c.Write(frame(text, payload, true)); sent <- err }()
		want := frame(text, payload, false)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("frame of %d bytes: %v, equal %v", n, err, bytes.Equal(got, want))
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	_, _ = c.Write(frame(closing, nil, true))
	if rest, err := io.ReadAll(c); err != nil || !bytes.Equal(rest, frame(closing, nil, false)) {
		t.Errorf("at the end: %q, %v", rest, err)
	}
}

// frame is a whole WebSocket frame (RFC 6455 section 5.2), masked as a client's must be, or not.
func frame(first byte, payload []byte, masked bool) []byte {
	b := []byte{first}
	n := len(payload)
	var bit byte
	if masked {
		bit = 0x80
	}
	switch {
	case n < 126:
		b = append(b, bit|byte(n))
	case n < 1<<16:
		b = append(b, bit|126, byte(n>>8), byte(n))
	default:
		b = append(b, bit|127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	if !masked {
		return append(b, payload...)
	}
	mask := [4]byte{0x12, 0x34, 0x56, 0x78}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}
