package peers

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/pki"
)

// TestRequestsChooseNoFiles: whatever a request says, it gets the files that the configuration names, as they were at the
// start, and backends that are declared.
func TestRequestsChooseNoFiles(t *testing.T) {
	dir := t.TempDir()
	page := pki.Write(t, dir, "page", "the page")
	pki.Write(t, dir, "secret", "the secret")
	where := pki.Write(t, dir, "backends.map", "/known known\n")
	addr := labtest.FreeAddr(t).String()
	waggle(t, defaults+fmt.Sprintf(`
frontend web
    bind %s
    http-request return status 200 content-type text/plain file %s if { path_beg /page }
    http-request return status 200 content-type text/plain lf-file %[2]s if { path_beg /format }
    use_backend %%[path,map(%s)] if { path_beg /known }
    use_backend %%[path]
    default_backend other
backend known
    http-request return status 200 content-type text/plain string known
backend other
    http-request return status 200 content-type text/plain string other
`, addr, page, where), addr)
	if err := os.Remove(page); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "secret"), page); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/page":                  "the page",
		"/page/../secret":        "the page",
		"/page%2e%2e/secret":     "the page",
		"/format/%[path]":        "the page",
		"/known":                 "known",
		"/known/../../etc/hosts": "other",
		"/../../etc/passwd":      "other",
		"/other%00":              "other",
		"//etc/passwd":           "other",
	} {
		c := dial(t, addr)
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path)
		got, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, body, _ := bytes.Cut(got, []byte("\r\n\r\n")); string(body) != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
