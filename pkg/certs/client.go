package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"waggle/pkg/config"
)

// Client makes what connections to a server begin with. The caller clones it and sets ServerName to the name that it
// asks for. As in HAProxy the certificate's name counts only if there is one to compare with: verifyhost or the SNI.
func Client(t *config.ServerTLS) (*tls.Config, error) {
	c := &tls.Config{
		MinVersion: t.MinVersion, MaxVersion: t.MaxVersion, CipherSuites: t.Ciphers, CurvePreferences: t.Curves,
		NextProtos: t.ALPN, SessionTicketsDisabled: t.NoTickets, ClientSessionCache: tls.NewLRUClientSessionCache(clientSessions),
		InsecureSkipVerify: true, //nolint:gosec // in favour of VerifyConnection below
	}
	var f files
	if t.Cert != "" {
		cert, err := f.pair(t.Cert)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{*cert}
	}
	if t.Verify == "none" {
		return c, nil
	}
	roots, err := f.authorities(t.CAFile)
	if err != nil {
		return nil, err
	}
	host := t.VerifyHost
	c.VerifyConnection = func(state tls.ConnectionState) error { return verify(state, roots, host) }
	return c, nil
}

// clientSessions is how many TLS sessions with a server are kept for resumption: one a name.
const clientSessions = 64

func verify(state tls.ConnectionState, roots *x509.CertPool, host string) error {
	if len(state.PeerCertificates) == 0 {
		return fmt.Errorf("the server shows no certificate")
	}
	o := x509.VerifyOptions{Roots: roots, DNSName: host, Intermediates: x509.NewCertPool()}
	if host == "" {
		o.DNSName = state.ServerName
	}
	for _, c := range state.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(o)
	return err
}
