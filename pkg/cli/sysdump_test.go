package cli

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waggle/pkg/lab/labtest"
)

func TestWithoutSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"    stats auth admin:hunter2":                                   "    stats auth admin:(removed)",
		"    stats auth \"admin:hunter 2\"":                              "    stats auth \"admin:(removed)",
		"  user bob insecure-password hunter2":                           "  user bob insecure-password (removed)",
		"  user bob password $6$abc groups x":                            "  user bob password (removed) groups x",
		"  http-check send hdr Authorization \"Basic aHVudGVyMg==\"":     "  http-check send hdr Authorization (removed)",
		"  http-request set-header X-Api-Key hunter2":                    "  http-request set-header X-Api-Key (removed)",
		"  dynamic-cookie-key hunter2":                                   "  dynamic-cookie-key (removed)",
		"  log https://me:hunter2@logs.example":                          "  log https://me:(removed)@logs.example",
		"  setenv TOKEN hunter2":                                         "  setenv TOKEN (removed)",
		"  setenv STATS_PASSWORD hunter2":                                "  setenv STATS_PASSWORD (removed)",
		"  presetenv DB_URL \"hunter 2\"":                                "  presetenv DB_URL (removed)",
		"  00016  Authorization: Bearer hunter2\\r\\n":                   "  00016  Authorization: (removed)",
		"  00016  Cookie: a=b\\r\\n\n  00086+ hunter2\\r\\n\n  00096  X": "  00016  Cookie: (removed)\n  00096  X",
		"  00016  set-cookie: sid=hunter2\\r\\n":                         "  00016  set-cookie: (removed)",
		"  user bob insecure-password \"hunter 2\" groups x":             "  user bob insecure-password (removed) groups x",
		"  tcp-check send \"AUTH hunter2\\r\\n\"":                        "  tcp-check send (removed)",
		"  tcp-check send-binary 68756e74657232 comment x":               "  tcp-check send-binary (removed)",
		"  http-check send meth POST body 'p=hunter 2' hdr a b":          "  http-check send meth POST body (removed) hdr a b",
		"  server a 10.0.0.1:80 agent-check agent-send \"hunter 2\\n\"":  "  server a 10.0.0.1:80 agent-check agent-send (removed)",
		"  acl ok req.hdr(X-Api-Key) -m str hunter2":                     "  acl ok req.hdr(X-Api-Key)(removed)",
		"  use_backend a if { hdr(authorization) \"Bearer hunter2\" }":   "  use_backend a if { hdr(authorization)(removed)",
		"  http-request allow if { url_param(token) hunter2 }":           "  http-request allow if { url_param(token)(removed)",
		"  acl ok http_auth_bearer -m str hunter2":                       "  acl ok http_auth_bearer(removed)",
		"  acl ok req.cook(sid) hunter2":                                 "  acl ok req.cook(sid)(removed)",
		"  00016  user=bob&password=hunter2\\r\\n":                       "  00016  user=bob&password=(removed)",
		"  acl api hdr(host) -i api.example":                             "  acl api hdr(host) -i api.example",
		"  option tcp-check":                                             "  option tcp-check",
		"  tune.bufsize 16384":                                           "  tune.bufsize 16384",
		"  server a 10.0.0.1:80 check weight 3":                          "  server a 10.0.0.1:80 check weight 3",
		"  cookie SRV insert indirect nocache":                           "  cookie (removed)",
		"  bind *:8000":                                                  "  bind *:8000",
	} {
		if got := string(withoutSecrets([]byte(in))); got != want {
			t.Errorf("%q\nbecame %q\nwant   %q", in, got, want)
		}
	}
}

// A directory is what it means to -f of the balancer.
func TestDumpOfADirectory(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.cfg", "b.cfg", "other.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("# "+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	files, err := dump(context.Background(), &settings{healthSocket: "@waggle-test-nobody", files: []string{dir, filepath.Join(dir, "b.cfg")}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files[1+len(dumpCommands()):] {
		got = append(got, f.name+": "+string(f.content))
	}
	want := []string{"config/1-a.cfg: # a.cfg\n", "config/2-b.cfg: # b.cfg\n", "config/3-b.cfg: # b.cfg\n"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What -c and the start refuse, a reload refuses, too: checks over TLS that could not succeed would take every server down.
func TestReloadLooksAtCertificates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	text := "frontend f\n mode tcp\n bind 127.0.0.1:1\n timeout client 1s\n default_backend b\n" +
		"backend b\n mode tcp\n timeout connect 1s\n timeout server 1s\n server s 127.0.0.1:2 check check-ssl verify required ca-file /nonexistent/ca.pem\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	said := &labtest.Transcript{}
	cfg, lines, err := reload(Env{Stdout: said, Stderr: said, Getenv: os.LookupEnv}, &settings{files: []string{file}})
	if cfg != nil || err == nil {
		t.Fatalf("it was taken, having said %q", lines)
	}
	if !slices.ContainsFunc(lines, func(l string) bool {
		return strings.Contains(l, "haproxy.cfg:10]") && strings.Contains(l, "/nonexistent/ca.pem")
	}) {
		t.Errorf("said: %q", lines)
	}
}
