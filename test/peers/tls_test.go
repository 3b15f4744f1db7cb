package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/pattern"
	"waggle/pkg/lab/pki"
	"waggle/pkg/lab/require"
)

// edge is a balancer that ends TLS, and where it listens.
type edge struct {
	name                         string
	plain, web, strict           string // clear text; HTTPS; HTTPS with strict-sni
	mutual, optional, old, relay string // client certificates: required, optional; TLS 1.2 alone; mode tcp
	dir                          string // of the certificates
}

// edgeConfig is what both balancers read, word for word but for the addresses.
const edgeConfig = defaults + `
frontend web
    bind %[1]s
    bind %[2]s ssl crt %[9]s/certs/ alpn h2,http/1.1
    option forwardfor
    http-request redirect scheme https code 301 if !{ ssl_fc }
    http-request set-header X-Forwarded-Proto https if { ssl_fc }
    http-request set-header X-TLS "%%[ssl_fc_protocol] %%[ssl_fc_sni] %%[ssl_fc_alpn]"
    default_backend app
frontend strict
    bind %[3]s ssl crt %[9]s/certs/site.pem strict-sni alpn h2,http/1.1
    default_backend app
frontend mutual
    bind %[4]s ssl crt %[9]s/certs/site.pem ca-file %[9]s/clients.pem verify required alpn h2,http/1.1
    http-request set-header X-Client %%[ssl_c_s_dn(cn)]
    default_backend app
frontend optional
    bind %[5]s ssl crt %[9]s/certs/site.pem ca-file %[9]s/clients.pem verify optional
    http-request deny unless { ssl_c_used }
    http-request set-header X-Client %%[ssl_c_s_dn(cn)]
    default_backend app
frontend old
    bind %[6]s ssl crt %[9]s/certs/site.pem ssl-min-ver TLSv1.2 ssl-max-ver TLSv1.2
    default_backend app
frontend relay
    mode tcp
    bind %[7]s ssl crt %[9]s/certs/site.pem
    default_backend raw
backend app
    server a %[8]s
backend raw
    mode tcp
    server a %[8]s
`

// edges starts waggle and, where it is, HAProxy with the same configuration, in front of a server that tells what it
// was sent.
func edges(t *testing.T) []*edge {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if body, err := io.ReadAll(r.Body); err == nil {
				_, _ = w.Write(body)
			}
			return
		}
		for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-For", "X-TLS", "X-Client"} {
			fmt.Fprintf(w, "%s=%s;", name, r.Header.Get(name))
		}
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	certificates(t, dir)
	var all []*edge
	for _, name := range []string{"waggle", "haproxy"} {
		e := &edge{name: name, dir: dir}
		for _, at := range []*string{&e.plain, &e.web, &e.strict, &e.mutual, &e.optional, &e.old, &e.relay} {
			*at = labtest.FreeAddr(t).String()
		}
		text := fmt.Sprintf(edgeConfig,
			e.plain, e.web, e.strict, e.mutual, e.optional, e.old, e.relay, server.Listener.Addr(), dir)
		if name == "waggle" {
			waggle(t, text, e.plain)
		} else {
			path := require.Tool(t, "haproxy")
			file := pki.Write(t, t.TempDir(), "haproxy.cfg", text)
			run(t, exec.Command(path, "-db", "-f", file), e.plain)
		}
		all = append(all, e)
	}
	return all
}

// certificates writes those of the servers and of the clients, and the authorities.
func certificates(t *testing.T, dir string) {
	t.Helper()
	ca, clients, other := pki.New(t), pki.New(t), pki.New(t)
	certs := filepath.Join(dir, "certs")
	if err := os.Mkdir(certs, 0o755); err != nil {
		t.Fatal(err)
	}
	ca.File(certs, "a-first.pem", pki.Request{CN: "first.test", Names: []string{"first.test"}})
	ca.File(certs, "site.pem", pki.Request{CN: "site.test", Names: []string{"site.test"}})
	ca.File(certs, "wild.pem", pki.Request{CN: "bees.test", Names: []string{"*.bees.test"}})
	ca.Bundle(dir, "ca.pem")
	clients.Bundle(dir, "clients.pem")
	clients.File(dir, "alice.pem", pki.Request{CN: "alice"})
	other.File(dir, "mallory.pem", pki.Request{CN: "mallory"})
}

// curl asks for a URL of a name that stands for the address, and gives what curl prints, or "refused".
func (e *edge) curl(t *testing.T, name, addr string, args ...string) string {
	t.Helper()
	_, port, _ := strings.Cut(addr, ":")
	scheme := "https"
	if addr == e.plain {
		scheme = "http"
	}
	args = append([]string{"-sS", "--cacert", filepath.Join(e.dir, "ca.pem"), "--resolve", name + ":" + port + ":127.0.0.1",
		"-w", "%{http_version} %{http_code}", fmt.Sprintf("%s://%s:%s/", scheme, name, port)}, args...)
	out, err := attempt(t, require.Tool(t, "curl"), args...)
	if err != nil {
		return "refused"
	}
	return strings.ReplaceAll(out, port, "PORT")
}

// openssl opens a connection by s_client and gives the lines that pick finds, or "refused".
func (e *edge) openssl(t *testing.T, addr string, pick *regexp.Regexp, args ...string) string {
	t.Helper()
	args = append([]string{"s_client", "-connect", addr, "-CAfile", filepath.Join(e.dir, "ca.pem")}, args...)
	out, err := attempt(t, require.Tool(t, "openssl"), args...)
	if err != nil {
		return "refused"
	}
	return strings.Join(pick.FindAllString(out, -1), "; ")
}

// attempt runs a program that may fail.
func attempt(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		t.Fatalf("%s %q: %v", name, args, err)
	}
	return out.String(), err
}

var (
	subject  = regexp.MustCompile(`subject=.*CN ?= ?\S+`)
	alpn     = regexp.MustCompile(`ALPN protocol: \S+|No ALPN negotiated`)
	protocol = regexp.MustCompile(`(New|Reused), TLSv1\.\d`)
)

// TestTLSAsHAProxy: curl and openssl find in waggle what they find in Debian's HAProxy with the same configuration.
func TestTLSAsHAProxy(t *testing.T) {
	all := edges(t)
	chain := func(name string) []string {
		return []string{"--cert", filepath.Join(all[0].dir, name), "--key", filepath.Join(all[0].dir, name)}
	}
	const seen = "X-Forwarded-Proto=https;X-Forwarded-For=127.0.0.1;X-TLS="
	for _, tc := range []struct {
		name string
		ask  func(e *edge) string
		want string
	}{
		{"HTTP/1.1", func(e *edge) string { return e.curl(t, "site.test", e.web, "--http1.1") }, seen + "TLSv1.3 site.test http/1.1;X-Client=;1.1 200"},
		{"HTTP/2", func(e *edge) string { return e.curl(t, "site.test", e.web, "--http2") }, seen + "TLSv1.3 site.test h2;X-Client=;2 200"},
		{"no ALPN", func(e *edge) string { return e.curl(t, "site.test", e.web, "--no-alpn") }, seen + "TLSv1.3 site.test;X-Client=;1.1 200"},
		{"TLS 1.2", func(e *edge) string { return e.curl(t, "site.test", e.web, "--tls-max", "1.2") }, seen + "TLSv1.2 site.test h2;X-Client=;2 200"},
		{"a wildcard", func(e *edge) string { return e.curl(t, "www.bees.test", e.web) }, seen + "TLSv1.3 www.bees.test h2;X-Client=;2 200"},
		{"two labels for one", func(e *edge) string { return e.curl(t, "a.b.bees.test", e.web) }, "refused"},
		{"a redirect to https", func(e *edge) string {
			return e.curl(t, "site.test", e.plain, "-o", "/dev/null", "-w", " %{redirect_url}")
		}, " https://site.test:PORT/"},
		{"its status", func(e *edge) string { return e.curl(t, "site.test", e.plain, "-o", "/dev/null") }, "1.1 301"},

		{"certificate by name", func(e *edge) string { return e.openssl(t, e.web, subject, "-servername", "site.test") }, "subject=C = FR, O = Bees, CN = site.test"},
		{"by wildcard", func(e *edge) string { return e.openssl(t, e.web, subject, "-servername", "x.bees.test") }, "subject=C = FR, O = Bees, CN = bees.test"},
		{"of a name that nobody has", func(e *edge) string { return e.openssl(t, e.web, subject, "-servername", "nobody.test") }, "subject=C = FR, O = Bees, CN = first.test"},
		{"without a name", func(e *edge) string { return e.openssl(t, e.web, subject, "-noservername") }, "subject=C = FR, O = Bees, CN = first.test"},
		{"in capitals", func(e *edge) string { return e.openssl(t, e.web, subject, "-servername", "SITE.Test") }, "subject=C = FR, O = Bees, CN = site.test"},
		{"strict, with the name", func(e *edge) string { return e.openssl(t, e.strict, subject, "-servername", "site.test") }, "subject=C = FR, O = Bees, CN = site.test"},
		{"strict, another name", func(e *edge) string { return e.openssl(t, e.strict, subject, "-servername", "nobody.test") }, "refused"},
		{"strict, no name", func(e *edge) string { return e.openssl(t, e.strict, subject, "-noservername") }, "refused"},

		{"ALPN of both", func(e *edge) string { return e.openssl(t, e.web, alpn, "-alpn", "http/1.1,h2") }, "ALPN protocol: h2"},
		{"ALPN of one", func(e *edge) string { return e.openssl(t, e.web, alpn, "-alpn", "http/1.1") }, "ALPN protocol: http/1.1"},
		{"ALPN of none that is spoken", func(e *edge) string { return e.openssl(t, e.web, alpn, "-alpn", "acme") }, "No ALPN negotiated"},
		{"ALPN where none is offered", func(e *edge) string { return e.openssl(t, e.relay, alpn, "-alpn", "h2") }, "No ALPN negotiated"},

		{"TLS 1.3", func(e *edge) string { return e.openssl(t, e.web, protocol, "-tls1_3") }, "New, TLSv1.3"},
		{"TLS 1.1", func(e *edge) string { return e.openssl(t, e.web, protocol, "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0") }, "refused"},
		{"TLS 1.3 above ssl-max-ver", func(e *edge) string { return e.openssl(t, e.old, protocol, "-tls1_3") }, "refused"},
		{"TLS 1.2 at ssl-max-ver", func(e *edge) string { return e.openssl(t, e.old, protocol, "-tls1_2") }, "New, TLSv1.2"},
		{"sessions that go on", func(e *edge) string { return e.openssl(t, e.old, protocol, "-tls1_2", "-reconnect") },
			"New, TLSv1.2" + strings.Repeat("; Reused, TLSv1.2", 5)},

		{"a client without a certificate", func(e *edge) string { return e.curl(t, "site.test", e.mutual) }, "refused"},
		{"with one", func(e *edge) string { return e.curl(t, "site.test", e.mutual, chain("alice.pem")...) }, "X-Forwarded-Proto=;X-Forwarded-For=;X-TLS=;X-Client=alice;2 200"},
		{"with a stranger's", func(e *edge) string { return e.curl(t, "site.test", e.mutual, chain("mallory.pem")...) }, "refused"},
		{"optional, without", func(e *edge) string { return e.curl(t, "site.test", e.optional, "-o", "/dev/null", "--http1.1") }, "1.1 403"},
		{"optional, with", func(e *edge) string {
			return e.curl(t, "site.test", e.optional, append(chain("alice.pem"), "--http1.1")...)
		},
			"X-Forwarded-Proto=;X-Forwarded-For=;X-TLS=;X-Client=alice;1.1 200"},
		{"optional, a stranger's", func(e *edge) string {
			return e.curl(t, "site.test", e.optional, append(chain("mallory.pem"), "--http1.1")...)
		}, "refused"},
		{"mode tcp", func(e *edge) string { return e.curl(t, "site.test", e.relay) }, "X-Forwarded-Proto=;X-Forwarded-For=;X-TLS=;X-Client=;1.1 200"},
	} {
		for _, e := range all {
			if got := tc.ask(e); got != tc.want {
				t.Errorf("%s, %s: got %q, want %q", tc.name, e.name, got, tc.want)
			}
		}
	}
}

// TestCurlByTLS: bodies of every size come through TLS, in HTTP/1.1 and HTTP/2, both ways.
func TestCurlByTLS(t *testing.T) {
	e := edges(t)[0]
	curl := require.Tool(t, "curl")
	dir := files(t)
	_, port, _ := strings.Cut(e.web, ":")
	for _, version := range []string{"--http1.1", "--http2"} {
		for _, n := range sizes {
			got := output(t, curl, "-sS", "--fail", version, "--cacert", filepath.Join(e.dir, "ca.pem"), "--resolve", "site.test:"+port+":127.0.0.1",
				"--data-binary", "@"+filepath.Join(dir, fmt.Sprint(n)), "https://site.test:"+port+"/")
			if sum(t, bytes.NewReader(got)) != sum(t, pattern.Reader(n)) {
				t.Errorf("%s: %d bytes differ: got %d", version, n, len(got))
			}
		}
	}
}

// TestStackTLSConfig runs the configuration of deploy/stack-tls.yml, with other places for the certificate, the ports and
// the servers.
func TestStackTLSConfig(t *testing.T) {
	content, err := os.ReadFile("../../deploy/tls.cfg")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s by %s;", r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"))
	}))
	t.Cleanup(server.Close)
	e := &edge{dir: t.TempDir(), plain: labtest.FreeAddr(t).String(), web: labtest.FreeAddr(t).String()}
	certificates(t, e.dir)
	text := string(content)
	for old, now := range map[string]string{
		"*:8080": e.plain, "*:8443": e.web, "*:8404": labtest.FreeAddr(t).String(), "/run/secrets/site.pem": filepath.Join(e.dir, "certs", "site.pem"),
		"server-template web- 16 tasks.web:8000 resolvers docker init-addr none": "server a " + server.Listener.Addr().String(),
	} {
		if strings.Count(text, old) != 1 {
			t.Fatalf("%q is not once in the file", old)
		}
		text = strings.Replace(text, old, now, 1)
	}
	waggle(t, text, e.web)
	for _, tc := range [][2]string{
		{e.curl(t, "site.test", e.web), "127.0.0.1 by https;2 200"},
		{e.curl(t, "site.test", e.web, "--http1.1", "-o", "/dev/null", "-w", "%header{strict-transport-security}"), "max-age=31536000"},
		{e.curl(t, "site.test", e.plain, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url}"), "301 https://site.test:PORT/"},
	} {
		if tc[0] != tc[1] {
			t.Errorf("got %q, want %q", tc[0], tc[1])
		}
	}
}
