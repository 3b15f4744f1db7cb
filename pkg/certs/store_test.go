package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/lab/pki"
)

// patience bounds every handshake.
const patience = 10 * time.Second

// shown is the common name of the certificate that a client is shown; "" and the error if there is none.
func shown(t *testing.T, s *Store, c *tls.Config) (*x509.Certificate, tls.ConnectionState, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0") // not net.Pipe: both sides may write at once
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		b, err := ln.Accept()
		if err != nil {
			done <- err
			return
		}
		defer b.Close()
		b.SetDeadline(time.Now().Add(patience))
		done <- tls.Server(b, s.Config()).Handshake()
	}()
	a, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	a.SetDeadline(time.Now().Add(patience))
	c.InsecureSkipVerify = true
	conn := tls.Client(a, c)
	err = conn.Handshake()
	if serr := <-done; err == nil {
		err = serr
	}
	if err != nil {
		return nil, tls.ConnectionState{}, err
	}
	state := conn.ConnectionState()
	return state.PeerCertificates[0], state, nil
}

func bind(certs ...config.Certificate) *config.Bind {
	return &config.Bind{TLS: config.BindTLS{Enabled: true, Certs: certs}}
}

func load(t *testing.T, b *config.Bind) *Store {
	t.Helper()
	s, err := Load(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestChoiceByName(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	ca.File(dir, "a.pem", pki.Request{CN: "first", Names: []string{"first.test"}})
	ca.File(dir, "b.pem", pki.Request{CN: "exact", Names: []string{"www.bees.test"}})
	ca.File(dir, "c.pem", pki.Request{CN: "wild", Names: []string{"*.bees.test"}})
	ca.File(dir, "d.pem", pki.Request{CN: "cn.test"})
	pki.Write(t, dir, ".hidden", "no certificate")
	s := load(t, bind(config.Certificate{Path: dir}))
	strict := bind(config.Certificate{Path: dir})
	strict.TLS.StrictSNI = true
	hard := load(t, strict)
	for name, want := range map[string]string{
		"": "first", "nobody.test": "first", "www.bees.test": "exact", "WWW.Bees.test": "exact", "api.bees.test": "wild",
		"deep.api.bees.test": "first", "bees.test": "first", "cn.test": "cn.test", "first.test": "first",
	} {
		cert, _, err := shown(t, s, &tls.Config{ServerName: name})
		if err != nil || cert.Subject.CommonName != want {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
		cert, _, err = shown(t, hard, &tls.Config{ServerName: name})
		known := want != "first" || name == "first.test"
		switch {
		case known && (err != nil || cert.Subject.CommonName != want):
			t.Errorf("strict-sni, %q: %v, want %s", name, err, want)
		case !known && (err == nil || !strings.Contains(err.Error(), "unrecognized name")):
			t.Errorf("strict-sni, %q: %v, want the alert unrecognized_name", name, err)
		}
	}
	if s.Count() != 4 {
		t.Errorf("%d certificates", s.Count())
	}
}

// A client that knows no elliptic curves' signatures gets the RSA certificate of the same name.
func TestTwoKindsOfKeys(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	ca.File(dir, "site.rsa", pki.Request{CN: "site.test", RSA: true})
	ca.File(dir, "site.ecdsa", pki.Request{CN: "site.test"})
	s := load(t, bind(config.Certificate{Path: dir + "/site"}))
	for suite, want := range map[uint16]x509.PublicKeyAlgorithm{
		tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256: x509.RSA, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: x509.ECDSA,
	} {
		cert, _, err := shown(t, s, &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}, ServerName: "site.test"})
		if err != nil || cert.PublicKeyAlgorithm != want {
			t.Errorf("%s: %v, want %s", tls.CipherSuiteName(suite), err, want)
		}
	}
}

func TestCertificateList(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	ca.File(dir, "one.pem", pki.Request{CN: "one"})
	ca.File(dir, "two.pem", pki.Request{CN: "two"})
	list := pki.Write(t, dir, "list", "# a comment\none.pem [alpn h2 ssl-min-ver TLSv1.3] one.test\n\ntwo.pem *.two.test !not.two.test\n")
	b := bind(config.Certificate{Path: list, List: true, Base: dir})
	b.TLS.ALPN = []string{"http/1.1"}
	s := load(t, b)
	for name, want := range map[string]string{"one.test": "one", "a.two.test": "two", "not.two.test": "one", "two": "one"} {
		cert, state, err := shown(t, s, &tls.Config{ServerName: name, NextProtos: []string{"h2", "http/1.1"}})
		if err != nil || cert.Subject.CommonName != want {
			t.Errorf("%s: %v", name, err)
			continue
		}
		alpn := map[string]string{"one": "h2", "two": "http/1.1"}[want]
		if state.NegotiatedProtocol != alpn {
			t.Errorf("%s: %q, want %s", name, state.NegotiatedProtocol, alpn)
		}
	}
	if _, _, err := shown(t, s, &tls.Config{ServerName: "one.test", MaxVersion: tls.VersionTLS12}); err == nil {
		t.Error("TLS 1.2 in spite of the line's ssl-min-ver")
	}
}

func TestWhatCannotBeLoaded(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	cert, key := ca.Issue(pki.Request{CN: "x"})
	_, other := ca.Issue(pki.Request{CN: "y"})
	for _, tc := range []struct{ name, content, want string }{
		{"none.pem", "", "no such file"},
		{"empty.pem", " ", "no private key"},
		{"cert.pem", string(cert), "no private key, and"},
		{"other.pem", string(cert) + string(other), "private key does not match"},
		{"key.pem", string(key), "failed to find"},
	} {
		if tc.content != "" {
			pki.Write(t, dir, tc.name, tc.content)
		}
		_, err := Load(bind(config.Certificate{Path: filepath.Join(dir, tc.name)}))
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), tc.name) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	pki.Write(t, dir, "beside.pem", string(cert))
	pki.Write(t, dir, "beside.pem.key", string(key))
	load(t, bind(config.Certificate{Path: filepath.Join(dir, "beside.pem")}))
}

func TestReload(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	file := ca.File(dir, "site.pem", pki.Request{CN: "old"})
	s := load(t, bind(config.Certificate{Path: file}))
	now := func() string {
		cert, _, err := shown(t, s, &tls.Config{})
		if err != nil {
			t.Fatal(err)
		}
		return cert.Subject.CommonName
	}
	if changed, err := s.Reload(); changed || err != nil {
		t.Errorf("nothing has changed: %v, %v", changed, err)
	}
	os.WriteFile(file, []byte("half of a certificate"), 0o600)
	if changed, err := s.Reload(); changed || err == nil {
		t.Errorf("a bad file: %v, %v", changed, err)
	}
	if _, err := s.Reload(); err != nil {
		t.Errorf("the same bad file is reported again: %v", err)
	}
	if got := now(); got != "old" {
		t.Errorf("after a bad file: %s", got)
	}
	ca.File(dir, "site.pem", pki.Request{CN: "new"})
	if changed, err := s.Reload(); !changed || err != nil {
		t.Errorf("a good file: %v, %v", changed, err)
	}
	if got := now(); got != "new" {
		t.Errorf("after a good file: %s", got)
	}
}

func TestClientCertificates(t *testing.T) {
	ca, other, dir := pki.New(t), pki.New(t), t.TempDir()
	file, authority := ca.File(dir, "site.pem", pki.Request{CN: "site"}), ca.Bundle(dir, "ca.pem")
	good, bad := ca.Client(pki.Request{CN: "worker"}), other.Client(pki.Request{CN: "wasp"})
	for _, tc := range []struct {
		verify string
		show   *tls.Certificate
		ok     bool
	}{
		{"none", nil, true}, {"optional", nil, true}, {"required", nil, false},
		{"optional", &good, true}, {"required", &good, true}, {"optional", &bad, false}, {"required", &bad, false},
	} {
		b := bind(config.Certificate{Path: file})
		b.TLS.Verify, b.TLS.CAFile = tc.verify, authority
		c := &tls.Config{MaxVersion: tls.VersionTLS12} // with 1.3 the client learns of a refusal only later
		if tc.show != nil {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return tc.show, nil }
		}
		if _, _, err := shown(t, load(t, b), c); (err == nil) != tc.ok {
			t.Errorf("verify %s, certificate %v: %v", tc.verify, tc.show != nil, err)
		}
	}
}
