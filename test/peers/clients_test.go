package peers

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"waggle/pkg/lab/pattern"
	"waggle/pkg/lab/require"
)

// TestCurl: downloads, a range, HEAD, a condition and two requests over one connection, in HTTP/1.1 and 1.0.
func TestCurl(t *testing.T) {
	curl := require.Tool(t, "curl")
	dir := files(t)
	front := between(t, nginx(t, dir))
	url := func(n int64) string { return fmt.Sprintf("http://%s/%d", front, n) }
	for _, version := range []string{"--http1.1", "--http1.0"} {
		for _, n := range sizes {
			got := output(t, curl, "-sS", "--fail", version, url(n))
			if sum(t, bytes.NewReader(got)) != sum(t, pattern.Reader(n)) {
				t.Errorf("%s: %d bytes differ", version, n)
			}
		}
		head := string(output(t, curl, "-sS", version, "-I", url(65536)))
		if !strings.Contains(head, " 200 ") || !strings.Contains(strings.ToLower(head), "content-length: 65536") {
			t.Errorf("%s HEAD: %q", version, head)
		}
		part := output(t, curl, "-sS", version, "-r", "1000-1999", url(65536))
		whole, _ := io.ReadAll(pattern.Reader(65536))
		if !bytes.Equal(part, whole[1000:2000]) {
			t.Errorf("%s range: %d bytes", version, len(part))
		}
	}
	two := output(t, curl, "-sS", "-w", " %{num_connects}", url(1), url(1000))
	one, _ := io.ReadAll(pattern.Reader(1))
	thousand, _ := io.ReadAll(pattern.Reader(1000))
	if want := string(one) + " 1" + string(thousand) + " 0"; string(two) != want {
		t.Errorf("over one connection: %d bytes, want %d", len(two), len(want))
	}
	fresh := string(output(t, curl, "-sS", "-o", "/dev/null", "-w", "%{http_code}", "-z", filepath.Join(dir, "1000"), url(1000)))
	if fresh != "304" {
		t.Errorf("condition: %s", fresh)
	}
}

// TestCurlUploads: a body with a length, with Expect, and in chunks comes back as it was sent.
func TestCurlUploads(t *testing.T) {
	curl := require.Tool(t, "curl")
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("X-Length", strconv.FormatInt(r.ContentLength, 10))
		_, _ = w.Write(body)
	}))
	defer echo.Close()
	front := between(t, echo.Listener.Addr().String())
	dir := files(t)
	for _, n := range sizes {
		file := filepath.Join(dir, fmt.Sprint(n))
		for name, args := range map[string][]string{
			"length": {"-H", "Expect:", "-T", file},
			"expect": {"-H", "Expect: 100-continue", "-T", file},
			"chunks": {"-H", "Transfer-Encoding: chunked", "-H", "Expect:", "-T", file},
			"post":   {"--data-binary", "@" + file},
		} {
			if name == "chunks" && n == 0 {
				continue // curl 7.88 sends a head and then no last chunk
			}
			got := output(t, curl, append([]string{"-sS", "--fail", "--http1.1", "http://" + front + "/"}, args...)...)
			if sum(t, bytes.NewReader(got)) != sum(t, pattern.Reader(n)) {
				t.Errorf("%s of %d bytes: got %d", name, n, len(got))
			}
		}
	}
}

// TestWrk: a load over many connections has no error and no other answer than 200.
func TestWrk(t *testing.T) {
	wrk := require.Tool(t, "wrk")
	front := between(t, nginx(t, files(t)))
	for _, header := range []string{"X-A: b", "Connection: close"} {
		out := string(output(t, wrk, "-t2", "-c32", "-d1s", "-H", header, "http://"+front+"/1000"))
		done := regexp.MustCompile(`(\d+) requests in `).FindStringSubmatch(out)
		if done == nil {
			t.Fatalf("wrk said %s", out)
		}
		if n, _ := strconv.Atoi(done[1]); n < 50 || strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") {
			t.Errorf("%s: %s", header, out)
		}
	}
}
