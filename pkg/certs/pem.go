package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// files reads files and remembers what was in them, so that a later look can tell whether anything has changed.
type files struct{ digest digest }

func (f *files) read(name string) ([]byte, error) {
	content, err := os.ReadFile(name)
	if err != nil {
		f.digest.add(name, nil)
		return nil, reason(err)
	}
	f.digest.add(name, content)
	return content, nil
}

// reason is an error of the file system without the name, which the message has already.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// pair loads a certificate with its chain and key from a file, or the key from FILE.key beside it
// (HAProxy, ssl-load-extra-files), and an OCSP response from FILE.ocsp if there is one.
func (f *files) pair(name string) (*tls.Certificate, error) {
	content, err := f.read(name)
	if err != nil {
		return nil, fmt.Errorf("unable to load certificate from file '%s': %w", name, err)
	}
	key := content
	if !hasKey(content) {
		if key, err = f.read(name + ".key"); err != nil {
			return nil, fmt.Errorf("unable to load certificate from file '%s': it has no private key, and '%s.key' cannot be read: %w", name, name, err)
		}
	}
	if strings.Contains(string(key), "ENCRYPTED") {
		return nil, fmt.Errorf("unable to load certificate from file '%s': its private key is encrypted, and there is nobody to ask for the passphrase", name)
	}
	cert, err := tls.X509KeyPair(content, key)
	if err != nil {
		return nil, fmt.Errorf("unable to load certificate from file '%s': %s", name, strings.TrimPrefix(err.Error(), "tls: "))
	}
	if staple, err := os.ReadFile(name + ".ocsp"); err == nil && len(staple) > 0 {
		f.digest.add(name+".ocsp", staple)
		cert.OCSPStaple = staple
	}
	return &cert, nil
}

func hasKey(content []byte) bool {
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return false
		}
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return true
		}
	}
}

// bundle gives the files that a name means which does not exist: one for each kind of key (HAProxy, crt).
func bundle(name string) []string {
	if _, err := os.Stat(name); err == nil {
		return []string{name}
	}
	var found []string
	for _, kind := range []string{".ecdsa", ".rsa", ".dsa"} {
		if _, err := os.Stat(name + kind); err == nil {
			found = append(found, name+kind)
		}
	}
	if found == nil {
		return []string{name} // whose error tells
	}
	return found
}

// directory gives the certificates of a directory in the order of their names, without what lies beside them.
func directory(name string) ([]string, bool) {
	entries, err := os.ReadDir(name)
	if err != nil {
		return nil, false
	}
	var found []string
	for _, e := range entries {
		n := e.Name()
		beside := slices.ContainsFunc([]string{".key", ".issuer", ".ocsp", ".sctl"}, func(s string) bool { return strings.HasSuffix(n, s) })
		if strings.HasPrefix(n, ".") || beside {
			continue
		}
		file := filepath.Join(name, n)
		if info, err := os.Stat(file); err != nil || info.IsDir() {
			continue
		}
		found = append(found, file)
	}
	return found, true
}

// authorities loads the certificates of a ca-file.
func (f *files) authorities(name string) (*x509.CertPool, error) {
	if name == "@system-ca" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("unable to load the system's CAs: %w", err)
		}
		return pool, nil
	}
	names := []string{name}
	if in, ok := directory(name); ok {
		names = in
	}
	pool := x509.NewCertPool()
	for _, n := range names {
		content, err := f.read(n)
		if err != nil {
			return nil, fmt.Errorf("unable to load CA file '%s': %w", n, err)
		}
		if !bytes.Contains(content, []byte("-----BEGIN CERTIFICATE")) || !pool.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("unable to load CA file '%s': it has no certificate in PEM", n)
		}
	}
	return pool, nil
}
