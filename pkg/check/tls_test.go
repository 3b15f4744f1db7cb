package check

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/lab/pki"
	"waggle/pkg/pool"
)

// A server that speaks TLS is checked over TLS, and its certificate counts.
func TestChecksOverTLS(t *testing.T) {
	ca, other, dir := pki.New(t), pki.New(t), t.TempDir()
	good, bad := ca.Bundle(dir, "ca.pem"), other.Bundle(dir, "other.pem")
	var name string
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { name = r.TLS.ServerName }))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Client(pki.Request{CN: "inner.test", Names: []string{"inner.test"}})}}
	srv.StartTLS()
	defer srv.Close()
	clear := httptest.NewServer(http.NotFoundHandler())
	defer clear.Close()
	for _, tc := range []struct {
		name   string
		at     string
		tls    config.ServerTLS
		http   bool
		status pool.CheckStatus
	}{
		{"connects", srv.Listener.Addr().String(), config.ServerTLS{CAFile: good}, false, pool.CheckL6OK},
		{"asks", srv.Listener.Addr().String(), config.ServerTLS{CAFile: good, CheckSNI: "inner.test"}, true, pool.CheckL7OK},
		{"another name", srv.Listener.Addr().String(), config.ServerTLS{CAFile: good, CheckSNI: "outer.test"}, true, pool.CheckL6Rsp},
		{"another authority", srv.Listener.Addr().String(), config.ServerTLS{CAFile: bad}, true, pool.CheckL6Rsp},
		{"clear text", clear.Listener.Addr().String(), config.ServerTLS{CAFile: good}, false, pool.CheckL6Rsp},
	} {
		t.Run(tc.name, func(t *testing.T) {
			addr := netip.MustParseAddrPort(tc.at)
			line := &config.Server{TLS: tc.tls, Check: config.CheckOptions{Inter: patience}}
			line.TLS.Enabled, line.TLS.Verify = true, "required"
			spec := Spec{Options: line.Check, TLS: tlsOf(line)}
			p := pool.New(1)
			o := pool.DefaultServerOptions()
			o.Name, o.Addr = "s", addr
			spec.Server = p.AddBackend(pool.BackendOptions{Name: "b"}).AddServer(o)
			if tc.http {
				cfg, _, err := config.Parse("t", []byte("backend b\n mode http\n option httpchk\n server s 192.0.2.1:1 check\n"), config.LoadOptions{})
				if err != nil {
					t.Fatal(err)
				}
				spec.Check = cfg.Proxies[0].Check
			}
			if got := spec.probe(context.Background(), direct, addr, time.Now()); got.Status != tc.status {
				t.Errorf("%v, want %v", got, tc.status)
			}
			if tc.status == pool.CheckL7OK && name != tc.tls.CheckSNI {
				t.Errorf("asked for %q", name)
			}
		})
	}
	if tlsOf(&config.Server{TLS: config.ServerTLS{Enabled: true, Verify: "none"}, Check: config.CheckOptions{Port: 80}}) != nil {
		t.Error("a check of another port goes over TLS without check-ssl")
	}
}

// What a server's certificate makes of an error goes to logs and pages: it is short, and has nothing that controls a terminal.
func TestCertificatesDoNotFloodLogs(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	var names []string
	for i := range 90 {
		names = append(names, fmt.Sprintf("\x1b[2Ja-name-that-is-rather-long-%d.test", i))
	}
	srv := httptest.NewUnstartedServer(http.NotFoundHandler())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Client(pki.Request{CN: "inner.test", Names: names})}}
	srv.StartTLS()
	defer srv.Close()
	line := &config.Server{TLS: config.ServerTLS{Enabled: true, Verify: "required", CAFile: ca.Bundle(dir, "ca.pem"), CheckSNI: "other.test"}, Check: config.CheckOptions{Inter: patience}}
	spec := Spec{Options: line.Check, TLS: tlsOf(line)}
	o := pool.DefaultServerOptions()
	o.Name, o.Addr = "s", netip.MustParseAddrPort(srv.Listener.Addr().String())
	spec.Server = pool.New(1).AddBackend(pool.BackendOptions{Name: "b"}).AddServer(o)
	got := spec.probe(context.Background(), direct, o.Addr, time.Now())
	if got.Status != pool.CheckL6Rsp || got.Info == "" {
		t.Fatalf("%+v", got)
	}
	if len(got.Info) > maxInfo || strings.ContainsRune(got.Info, 0x1b) {
		t.Errorf("%d bytes: %.200q", len(got.Info), got.Info)
	}
}
