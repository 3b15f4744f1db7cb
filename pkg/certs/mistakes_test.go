package certs

import (
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waggle/pkg/config"
	"waggle/pkg/lab/message"
	"waggle/pkg/lab/pki"
)

// TestMistakes has what is said of files that cannot be used, word for word; DIR is where they are.
func TestMistakes(t *testing.T) {
	ca, dir := pki.New(t), t.TempDir()
	cert, key := ca.Issue(pki.Request{CN: "x"})
	for name, content := range map[string]string{
		"cert.pem": string(cert), "pair.pem": string(cert) + string(key), "key.pem": string(key),
		"secret.pem": string(cert) + "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
		"open.list":  "# certificates\npair.pem [alpn h2\n", "gone.list": "pair.pem\nnope.pem\n",
	} {
		pki.Write(t, dir, name, content)
	}
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	load := func(c config.Certificate) func() error { return func() error { _, err := Load(bind(c)); return err } }
	trust := func(name string) func() error {
		return func() error { _, err := Client(&config.ServerTLS{Enabled: true, CAFile: at(name)}); return err }
	}
	for _, tt := range []struct {
		do   func() error
		want string
	}{
		{load(config.Certificate{Path: at("nope.pem")}), "unable to load certificate from file 'DIR/nope.pem': no such file or directory"},
		{load(config.Certificate{Path: at("cert.pem")}), "unable to load certificate from file 'DIR/cert.pem': it has no private key, and 'DIR/cert.pem.key' cannot be read: no such file or directory"},
		{load(config.Certificate{Path: at("secret.pem")}), "unable to load certificate from file 'DIR/secret.pem': its private key is encrypted, and there is nobody to ask for the passphrase"},
		{load(config.Certificate{Path: at("key.pem")}), "unable to load certificate from file 'DIR/key.pem': failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched"},
		{load(config.Certificate{Path: at("sub")}), "no certificate in 'DIR/sub'"},
		{load(config.Certificate{Path: at("nope.list"), List: true}), "unable to read crt-list 'DIR/nope.list': no such file or directory"},
		{load(config.Certificate{Path: at("open.list"), List: true}), "crt-list 'DIR/open.list', line 2: '[' without ']'"},
		{trust("nope.pem"), "unable to load CA file 'DIR/nope.pem': no such file or directory"},
		{trust("key.pem"), "unable to load CA file 'DIR/key.pem': it has no certificate in PEM"},
		{func() error { return verify(tls.ConnectionState{}, nil, "") }, "the server shows no certificate"},
	} {
		err := tt.do()
		if err == nil {
			t.Errorf("no error, want %s", tt.want)
			continue
		}
		var joined interface{ Unwrap() []error }
		if errors.As(err, &joined) {
			err = joined.Unwrap()[0]
		}
		if got := strings.ReplaceAll(err.Error(), dir, "DIR"); got != tt.want {
			t.Errorf("%s\nwant %s", got, tt.want)
		}
		message.Shown(t, tt.want)
	}
}
