package check

import (
	"crypto/tls"

	"waggle/pkg/certs"
	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// tlsOf is how a server's line says that its checks go over TLS; nil for clear text. As in HAProxy they go as the
// server's traffic does, unless they go elsewhere and check-ssl does not say so; the name that is asked for is check-sni.
func tlsOf(line *config.Server) *tls.Config {
	elsewhere := line.Check.Port != 0 || line.Check.Addr.IsValid()
	if !line.TLS.Check && (!line.TLS.Enabled || elsewhere) {
		return nil
	}
	c, err := certs.Client(&line.TLS)
	if err != nil { // the files were there when the configuration was checked
		c = &tls.Config{VerifyConnection: func(tls.ConnectionState) error { return err }, InsecureSkipVerify: true} //nolint:gosec // refused always
	}
	c.ServerName = line.TLS.CheckSNI
	return c
}

// secure makes the TLS handshake on the connection that stands, within the time that the check has.
func (p *probe) secure() error {
	conn := tls.Client(p.conn, p.TLS)
	if err := conn.Handshake(); err != nil {
		return &handshakeError{err}
	}
	p.conn = conn
	p.pass = pool.CheckResult{Status: pool.CheckL6OK}
	return nil
}

// handshakeError is a TLS handshake that failed.
type handshakeError struct{ err error }

func (e *handshakeError) Error() string { return e.err.Error() }

func (e *handshakeError) result() pool.CheckResult {
	if isTimeout(e.err) {
		return pool.CheckResult{Status: pool.CheckL6Tout}
	}
	return pool.CheckResult{Status: pool.CheckL6Rsp, Info: printable(e.err.Error())} // it may quote the certificate
}
