package config

import (
	"fmt"
	"testing"
)

// Relative names begin where default-path says: of error pages, patterns, bodies and certificates; absolute ones, and those of
// another base, stay.
func TestDefaultPath(t *testing.T) {
	const text = `
global
 default-path %s
 ca-base cas
frontend f
 bind :1 ssl crt site.pem ca-file ca.pem crt-list /etc/list
 mode http
 timeout client 1s
 errorfile 503 503.http
 http-request deny if { src -f nets.lst }
 http-request return status 200 content-type text/plain file body.txt
`
	for mode, dir := range map[string]string{"current": "", "config": "etc/h/", "parent": "etc/", "origin /o": "/o/"} {
		files := map[string]string{dir + "503.http": "HTTP/1.1 503 Sorry\r\n\r\n", dir + "nets.lst": "10.0.0.0/8\n", dir + "body.txt": "hello"}
		cfg, _, err := Parse("etc/h/t.cfg", fmt.Appendf(nil, text, mode), pure(files))
		if err != nil {
			t.Errorf("%s: %v", mode, err)
			continue
		}
		p := cfg.Proxies[0]
		got := []string{p.Binds[0].TLS.Certs[0].Path, p.Binds[0].TLS.Certs[1].Path, p.Binds[0].TLS.Certs[1].Under("x"), p.Binds[0].TLS.CAFile, p.ErrorFiles[503]}
		want := []string{dir + "site.pem", "/etc/list", dir + "x", dir + "cas/ca.pem", dir + "503.http"}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", mode, got, want)
		}
	}
}
