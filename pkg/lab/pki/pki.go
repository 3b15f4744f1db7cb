// Package pki makes certificates for tests: an authority that signs for names, in files as balancers read them.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  crypto.Signer
}

// New returns an authority.
func New(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{t: t}
	a.key = a.newKey(false)
	a.cert = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, a.key)
	return a
}

func (a *Authority) newKey(rsaKey bool) crypto.Signer {
	a.t.Helper()
	var key crypto.Signer
	var err error
	if rsaKey {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		a.t.Fatal(err)
	}
	return key
}

func (a *Authority) sign(c, parent *x509.Certificate, key crypto.Signer) *x509.Certificate {
	a.t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.NotBefore, c.NotAfter = serial, time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	by := a.key
	if parent == nil {
		parent = c
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), by)
	if err != nil {
		a.t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return signed
}

// Request is what a certificate is wanted for.
type Request struct {
	CN    string
	Names []string
	RSA   bool
}

// Issue returns a certificate and its key in PEM.
func (a *Authority) Issue(r Request) (cert, key []byte) {
	a.t.Helper()
	k := a.newKey(r.RSA)
	c := a.sign(&x509.Certificate{
		Subject: pkix.Name{Country: []string{"FR"}, Organization: []string{"Bees"}, CommonName: r.CN}, DNSNames: r.Names,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, k)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// File writes a certificate with its key into one file and returns its name.
func (a *Authority) File(dir, name string, r Request) string {
	a.t.Helper()
	cert, key := a.Issue(r)
	return Write(a.t, dir, name, string(cert)+string(key))
}

// Bundle writes the authority's own certificate into a file and returns its name.
func (a *Authority) Bundle(dir, name string) string {
	a.t.Helper()
	return Write(a.t, dir, name, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})))
}

// Pool holds the authority alone.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// Client is a certificate for one side of a connection.
func (a *Authority) Client(r Request) tls.Certificate {
	a.t.Helper()
	pair, err := tls.X509KeyPair(a.Issue(r))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

// Write writes a file and returns its name.
func Write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
