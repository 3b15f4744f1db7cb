package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// certificateFile is where writeCertificate puts it in the directory of the bodies.
const certificateFile = "bench.pem"

// writeCertificate makes a certificate of P-256, as most are today, and signs it with its own key: nobody checks it.
func writeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	name := pkix.Name{CommonName: "bench"}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: name, DNSNames: []string{"bench"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, certificateFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(
		pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		f.Close())
}
