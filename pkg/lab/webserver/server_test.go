package webserver_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"waggle/pkg/lab/pattern"
	"waggle/pkg/lab/webserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var versions = map[string]webserver.Version{"HTTP/1.0": webserver.HTTP10, "HTTP/1.1": webserver.HTTP11}

// eachVersion runs test with the address of a server of each version.
func eachVersion(t *testing.T, test func(t *testing.T, proto, addr string)) {
	for proto, v := range versions {
		t.Run(proto, func(t *testing.T) {
			ln, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := webserver.New("web-1", v)
			served := make(chan error, 1)
			go func() { served <- s.Serve(ln) }()
			t.Cleanup(func() {
				if err := s.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
				if err := <-served; !errors.Is(err, http.ErrServerClosed) {
					t.Errorf("Serve returned %v", err)
				}
			})
			test(t, proto, ln.Addr().String())
		})
	}
}

func do(t *testing.T, method, url string, body io.Reader) (*http.Response, []byte) {
	t.Helper()
	request, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, content
}

func TestAnyPathGivesTheHostname(t *testing.T) {
	eachVersion(t, func(t *testing.T, proto, addr string) {
		for _, path := range []string{"/", "/any/path?x=1", "//twice", "/a/../b", "/echo/more"} {
			resp, body := do(t, http.MethodGet, "http://"+addr+path, nil)
			if string(body) != "hostname: web-1" || resp.Proto != proto || resp.StatusCode != 200 {
				t.Errorf("%s: got %s %d %q", path, resp.Proto, resp.StatusCode, body)
			}
		}
	})
}

func TestHTTP10BodyEndsAtClose(t *testing.T) {
	eachVersion(t, func(t *testing.T, proto, addr string) {
		if proto != "HTTP/1.0" {
			return
		}
		conn, err := net.Dial("tcp4", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
		all, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		if want := "HTTP/1.0 200 OK\r\n\r\nhostname: web-1"; string(all) != want {
			t.Errorf("got %q, want %q", all, want)
		}
	})
}

func TestHTTP11KeepsTheConnection(t *testing.T) {
	eachVersion(t, func(t *testing.T, proto, addr string) {
		if proto != "HTTP/1.1" {
			return
		}
		conn, err := net.Dial("tcp4", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		in := bufio.NewReader(conn)
		for i := range 2 {
			fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
		}
	})
}

func TestBytesAndStream(t *testing.T) {
	const n = 300_001
	want, _ := io.ReadAll(pattern.Reader(n))
	eachVersion(t, func(t *testing.T, proto, addr string) {
		resp, body := do(t, http.MethodGet, fmt.Sprintf("http://%s/bytes/%d", addr, n), nil)
		if !bytes.Equal(body, want) || resp.ContentLength != n {
			t.Errorf("bytes: got %d bytes with length %d", len(body), resp.ContentLength)
		}
		resp, body = do(t, http.MethodGet, fmt.Sprintf("http://%s/stream/%d", addr, n), nil)
		if !bytes.Equal(body, want) || resp.ContentLength != -1 {
			t.Errorf("stream: got %d bytes with length %d", len(body), resp.ContentLength)
		}
		if chunked := len(resp.TransferEncoding) == 1; chunked != (proto == "HTTP/1.1") {
			t.Errorf("stream: transfer encoding %v", resp.TransferEncoding)
		}
	})
}

func TestEcho(t *testing.T) {
	const n = 200_000
	want, _ := io.ReadAll(pattern.Reader(n))
	eachVersion(t, func(t *testing.T, _, addr string) {
		_, body := do(t, http.MethodPost, "http://"+addr+"/echo", bytes.NewReader(want))
		if !bytes.Equal(body, want) {
			t.Errorf("with length: got %d bytes back", len(body))
		}
		_, body = do(t, http.MethodPost, "http://"+addr+"/echo", io.MultiReader(bytes.NewReader(want)))
		if !bytes.Equal(body, want) {
			t.Errorf("chunked: got %d bytes back", len(body))
		}
	})
}

func TestStatusHeadersAndMistakes(t *testing.T) {
	eachVersion(t, func(t *testing.T, _, addr string) {
		if resp, _ := do(t, http.MethodGet, "http://"+addr+"/status/503", nil); resp.StatusCode != 503 {
			t.Errorf("status: got %d", resp.StatusCode)
		}
		for _, bad := range []string{"/status/99", "/bytes/-1", "/bytes/many", "/slow/x"} {
			if resp, _ := do(t, http.MethodGet, "http://"+addr+bad, nil); resp.StatusCode != 400 {
				t.Errorf("%s: got %d, want 400", bad, resp.StatusCode)
			}
		}
		if _, body := do(t, http.MethodGet, "http://"+addr+"/headers", nil); !strings.HasPrefix(string(body), "GET /headers HTTP/1.1\nHost: "+addr+"\n") {
			t.Errorf("headers: got %q", body)
		}
		if _, body := do(t, http.MethodGet, "http://"+addr+"/slow/1", nil); string(body) != "hostname: web-1" {
			t.Errorf("slow: got %q", body)
		}
		if resp, body := do(t, http.MethodHead, "http://"+addr+"/bytes/10", nil); len(body) != 0 || resp.ContentLength != 10 {
			t.Errorf("HEAD: got %d bytes, length %d", len(body), resp.ContentLength)
		}
	})
}
