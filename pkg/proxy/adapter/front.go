package adapter

import (
	"crypto/tls"
	"log/slog"
	"time"

	"waggle/pkg/certs"
	"waggle/pkg/config"
	"waggle/pkg/sample"
)

// Front is how clients of a bind line are spoken to. Use [NewFront]; its methods may be called from any goroutine.
type Front struct {
	s Settings
}

// Counter is told of TLS connections, by any goroutine.
type Counter interface {
	Begin()              // the handshake begins
	Shaken(resumed bool) // it has ended well
	Failed()             // or it has not
	End()                // the connection has ended
}

// Settings of a Front. Times of 0 mean without end.
type Settings struct {
	Certs     *certs.Store
	Counter   func() Counter // of connections
	ForceH2   bool           // proto h2
	Handshake time.Duration
	Client    time.Duration // timeout client
	Logger    *slog.Logger
}

// flushTime is for how long a client may stop reading the last bytes when no timeout client is set.
const flushTime = 10 * time.Second

// NewFront returns a Front.
func NewFront(s Settings) *Front { return &Front{s: s} }

// Certificates gives the store; nil for no Front.
func (f *Front) Certificates() *certs.Store {
	if f == nil {
		return nil
	}
	return f.s.Certs
}

// Serve speaks to a client until its connection has ended, and closes it. With greets the connection begins with a
// PROXY header, whose addresses are those of the connection from then on (HAProxy, section 5.1, accept-proxy).
func (f *Front) Serve(raw *Conn, greets bool, door Door) {
	defer raw.Close()
	if greets {
		if why := raw.greet(f.s.Handshake); why != sample.ConnOK {
			door.Failed(why)
			return
		}
	}
	counter := f.s.Counter()
	counter.Begin()
	defer counter.End()
	conn, err := f.handshake(raw)
	if err != nil {
		counter.Failed()
		f.s.Logger.Debug("TLS handshake failed", "client", raw.src, "error", err)
		door.Failed(handshakeFault(err))
		return
	}
	state := conn.ConnectionState()
	counter.Shaken(state.DidResume)
	h2 := f.s.ForceH2 || state.NegotiatedProtocol == "h2" // which the loop speaks
	f.relayClient(conn, raw, Info{Src: raw.src, Dst: raw.dst, TLS: describe(&state), H2: h2}, door)
}

func (f *Front) handshake(raw *Conn) (*tls.Conn, error) {
	conn := tls.Server(raw, f.s.Certs.Config())
	if f.s.Handshake > 0 {
		_ = raw.SetDeadline(time.Now().Add(f.s.Handshake))
	}
	if err := conn.Handshake(); err != nil {
		return nil, err
	}
	_ = raw.SetDeadline(time.Time{})
	return conn, nil
}

// describe keeps what expressions and logs may ask for.
func describe(s *tls.ConnectionState) *sample.TLS {
	t := &sample.TLS{
		Version: versionName(s.Version), Cipher: config.CipherName(s.CipherSuite), SNI: s.ServerName, ALPN: s.NegotiatedProtocol, Resumed: s.DidResume,
	}
	if len(s.PeerCertificates) > 0 {
		t.Peer = s.PeerCertificates[0]
	}
	return t
}

// versionName is a version as OpenSSL and HAProxy call it.
func versionName(v uint16) string {
	names := []string{"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}
	if i := int(v) - tls.VersionTLS10; i >= 0 && i < len(names) {
		return names[i]
	}
	return "unknown"
}

// patience is for how long a client may stop reading once the loop has nothing to do with it any more.
func (f *Front) patience() time.Duration { return max(f.s.Client, flushTime) }
