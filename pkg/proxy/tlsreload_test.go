package proxy

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/lab/pki"
	"waggle/pkg/pool"
)

// reload has a world go on with its configuration as it is now.
func (w *world) reload() {
	w.t.Helper()
	next := Setup{Config: w.config, Pool: buildPool(w.config, 1)}
	change, err := w.engine.Prepare(next)
	if err != nil {
		w.t.Fatal(err)
	}
	takeover := next.Pool.TakeOver(w.pool)
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if _, err := change.Commit(ctx, takeover.Commit); err != nil {
		w.t.Fatal(err)
	}
	w.pool = next.Pool
}

// What connections to servers are verified by is read anew by a reload, and requests go on meanwhile.
func TestReloadOfServersAuthority(t *testing.T) {
	ca, other := pki.New(t), pki.New(t)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") }))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{ca.Client(pki.Request{CN: "inner.test", Names: []string{"inner.test"}})}}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	file := other.Bundle(t.TempDir(), "ca.pem")
	w := start(t, []netip.AddrPort{netip.MustParseAddrPort(srv.Listener.Addr().String())}, func(_ *Setup, _, be *config.Proxy) {
		be.Servers[0].TLS = config.ServerTLS{Enabled: true, Verify: "required", CAFile: file}
		be.Retries = 0
	})
	c := w.dial()
	if status, _ := c.get("/"); status != 503 {
		t.Errorf("a server of another authority: status %d", status)
	}
	good, err := os.ReadFile(ca.Bundle(t.TempDir(), "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	w.reload()
	if status, _ := w.dial().get("/"); status != 200 {
		t.Errorf("after the reload: status %d", status)
	}
	if sum := w.pool.Backends[0].TLS.Sum(); sum.Failed != 1 || sum.Full != 1 {
		t.Errorf("handshakes with the server: %+v", sum)
	}
}

// Certificates that change on disk are shown to new clients, and broken ones to nobody; a reload counts on.
func TestReloadOfCertificates(t *testing.T) {
	ca := pki.New(t)
	w := start(t, []netip.AddrPort{witness(t)}, secured(t, ca, "http/1.1"))
	file := w.config.Proxies[0].Binds[0].TLS.Certs[0].Path
	serial := func() string {
		t.Helper()
		conn, err := tls.Dial("tcp", w.addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "site.test"})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	first := serial()
	if err := os.WriteFile(file, []byte("half a cop"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.engine.ReloadCertificates()
	if serial() != first {
		t.Error("a broken file took the place of the certificate")
	}
	cert, key := ca.Issue(pki.Request{CN: "site.test", Names: []string{"site.test"}})
	if err := os.WriteFile(file, append(cert, key...), 0o600); err != nil {
		t.Fatal(err)
	}
	w.engine.ReloadCertificates()
	second := serial()
	if second == first {
		t.Error("the new certificate is not shown")
	}
	if loaded, failed := w.engine.CertificateReloads(); loaded != 1 || failed != 1 {
		t.Errorf("%d loaded, %d failed", loaded, failed)
	}
	if all := w.engine.Certificates(); len(all) != 1 || all[0].Proxy != "fe" || all[0].Count != 1 || all[0].Expires.IsZero() {
		t.Errorf("certificates %+v", all)
	}
	w.reload()
	if serial() != second {
		t.Error("after a reload of the configuration it is another one")
	}
	eventually(t, "all handshakes are counted", func() bool { return w.pool.Frontends[0].TLS.Sum() == (pool.TLSTotals{Full: 4}) })
}

// Handshakes are counted by how they end.
func TestHandshakesAreCounted(t *testing.T) {
	ca := pki.New(t)
	w := start(t, []netip.AddrPort{witness(t)}, secured(t, ca, "http/1.1"))
	settings := &tls.Config{RootCAs: ca.Pool(), ServerName: "site.test", ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	for range 3 {
		conn, err := tls.Dial("tcp", w.addr, settings)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "GET / HTTP/1.1\r\nHost: site.test\r\nConnection: close\r\n\r\n")
		if _, err := io.ReadAll(conn); err != nil { // the tickets come along
			t.Fatal(err)
		}
		conn.Close()
	}
	if conn, err := tls.Dial("tcp", w.addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "site.test", MaxVersion: tls.VersionTLS11}); err == nil {
		conn.Close()
		t.Error("TLS 1.1 was taken")
	}
	counts := &w.pool.Frontends[0].TLS
	eventually(t, "all have ended", func() bool { return counts.Conns.Load() == 0 && counts.Sum().All() == 4 })
	if sum := counts.Sum(); sum != (pool.TLSTotals{Full: 1, Resumed: 2, Failed: 1}) {
		t.Errorf("%+v", sum)
	}
}

// A handshake that does not come to its end holds its place for timeout client-hs, or timeout client, and no longer, also
// when bytes trickle in.
func TestUnfinishedHandshakeIsCutOff(t *testing.T) {
	ca := pki.New(t)
	for name, set := range map[string]func(*config.Timeouts){
		"client":    func(t *config.Timeouts) { t.Client = 4 * short },
		"client-hs": func(t *config.Timeouts) { t.ClientHandshake = 4 * short },
	} {
		w := start(t, []netip.AddrPort{witness(t)}, secured(t, ca, "http/1.1"), func(_ *Setup, fe, _ *config.Proxy) { set(&fe.Timeouts) })
		begun := time.Now()
		c := w.dial()
		stop := make(chan struct{})
		go func() {
			for _, b := range []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") {
				select {
				case <-stop:
					return
				case <-time.After(short / 2):
					_, _ = c.TCPConn.Write([]byte{b})
				}
			}
		}()
		_, _ = io.Copy(io.Discard, c.TCPConn)
		close(stop)
		if took := time.Since(begun); took < 4*short {
			t.Errorf("%s: closed after %v", name, took)
		}
		eventually(t, "it is counted, and its place is free", func() bool {
			return w.pool.Frontends[0].TLS.Sum() == (pool.TLSTotals{Failed: 1}) && w.pool.Frontends[0].Sessions.Load() == 0
		})
	}
}
