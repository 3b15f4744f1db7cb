package sample

import (
	"crypto/sha1" // #nosec G505 -- the name of a certificate, not a signature
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"time"
)

// TLS is what is known of a client's TLS connection.
type TLS struct {
	Version, Cipher string // as OpenSSL calls them, e.g. TLSv1.3 and ECDHE-RSA-AES128-GCM-SHA256
	SNI, ALPN       string // "" = none
	Resumed         bool
	Peer            *x509.Certificate // the client's, verified; nil = it has shown none
}

// namePart is an optional part of a name and which of its values; 1, the first, unless said.
var namePart = argSpec{0, 2, func(p *argParser) *Error {
	p.out.texts[0] = p.text(0)
	return p.number(1, 1)
}}

// tlsFetches look at the client's TLS connection; on one in clear text they have no value.
var tlsFetches = map[string]*fetch{
	"ssl_fc_sni":        {out: String, do: tlsText(func(t *TLS) string { return t.SNI })},
	"ssl_fc_alpn":       {out: String, do: tlsText(func(t *TLS) string { return t.ALPN })},
	"ssl_fc_protocol":   {out: String, do: tlsText(func(t *TLS) string { return t.Version })},
	"ssl_fc_cipher":     {out: String, do: tlsText(func(t *TLS) string { return t.Cipher })},
	"ssl_fc_has_sni":    {out: Bool, do: tlsBool(func(t *TLS) bool { return t.SNI != "" })},
	"ssl_fc_has_crt":    {out: Bool, do: tlsBool(func(t *TLS) bool { return t.Peer != nil && !t.Resumed })},
	"ssl_fc_is_resumed": {out: Bool, do: tlsBool(func(t *TLS) bool { return t.Resumed })},
	"ssl_c_used":        {out: Bool, do: tlsBool(func(t *TLS) bool { return t.Peer != nil })},
	// Handshakes that fail have no connection to be asked about: what went wrong is fc_err's to tell. So are clients whose certificate cannot
	// be verified.
	"ssl_fc_err":      {out: Int, do: tlsAny(func(e *evaluator, _ *TLS, _ *args) { e.offer(integer(0)) })},
	"ssl_c_verify":    {out: Int, do: tlsAny(func(e *evaluator, _ *TLS, _ *args) { e.offer(integer(0)) })},
	"ssl_c_err":       {out: Int, do: tlsAny(func(e *evaluator, _ *TLS, _ *args) { e.offer(integer(0)) })},
	"ssl_c_ca_err":    {out: Int, do: tlsAny(func(e *evaluator, _ *TLS, _ *args) { e.offer(integer(0)) })},
	"ssl_c_s_dn":      {out: String, arg: namePart, do: peerName(func(c *x509.Certificate) pkix.Name { return c.Subject })},
	"ssl_c_i_dn":      {out: String, arg: namePart, do: peerName(func(c *x509.Certificate) pkix.Name { return c.Issuer })},
	"ssl_c_sha1":      {out: Binary, do: peerBytes(func(c *x509.Certificate) []byte { sum := sha1.Sum(c.Raw); return sum[:] })},
	"ssl_c_serial":    {out: Binary, do: peerBytes(func(c *x509.Certificate) []byte { return c.SerialNumber.Bytes() })},
	"ssl_c_der":       {out: Binary, do: peerBytes(func(c *x509.Certificate) []byte { return c.Raw })},
	"ssl_c_notbefore": {out: String, do: peerBytes(func(c *x509.Certificate) []byte { return asn1Time(c.NotBefore) })},
	"ssl_c_notafter":  {out: String, do: peerBytes(func(c *x509.Certificate) []byte { return asn1Time(c.NotAfter) })},
}

func tlsAny(do func(*evaluator, *TLS, *args)) func(*evaluator, *args) {
	return func(e *evaluator, a *args) {
		if t := e.subject.TLSState(); t != nil {
			do(e, t, a)
		}
	}
}

func tlsText(get func(*TLS) string) func(*evaluator, *args) {
	return tlsAny(func(e *evaluator, t *TLS, _ *args) { e.offerString(get(t)) })
}

func tlsBool(get func(*TLS) bool) func(*evaluator, *args) {
	return func(e *evaluator, _ *args) {
		t := e.subject.TLSState()
		e.offer(boolean(t != nil && get(t)))
	}
}

func peerBytes(get func(*x509.Certificate) []byte) func(*evaluator, *args) {
	return tlsAny(func(e *evaluator, t *TLS, _ *args) {
		if t.Peer != nil {
			e.offerText(get(t.Peer))
		}
	})
}

// asn1Time is YYMMDDhhmmssZ, as HAProxy shows the times of certificates.
func asn1Time(t time.Time) []byte { return t.UTC().AppendFormat(nil, "060102150405Z") }

// peerName gives a name in OpenSSL's one-line form, /C=FR/O=Bees/CN=worker, or the n-th value of a part of it; a
// negative n counts from the end (HAProxy, ssl_c_s_dn).
func peerName(get func(*x509.Certificate) pkix.Name) func(*evaluator, *args) {
	return tlsAny(func(e *evaluator, t *TLS, a *args) {
		if t.Peer == nil {
			return
		}
		parts := get(t.Peer).Names
		if part := a.texts[0]; part != "" {
			e.offerString(nthPart(parts, part, int(a.nums[1])))
			return
		}
		var b strings.Builder
		for _, p := range parts {
			b.WriteString("/" + shortName(p) + "=" + dnText(p))
		}
		e.offerString(b.String())
	})
}

func nthPart(parts []pkix.AttributeTypeAndValue, name string, n int) string {
	var found []string
	for _, p := range parts {
		if strings.EqualFold(shortName(p), name) {
			found = append(found, dnText(p))
		}
	}
	switch {
	case n > 0 && n <= len(found):
		return found[n-1]
	case n < 0 && -n <= len(found):
		return found[len(found)+n]
	}
	return ""
}

func dnText(p pkix.AttributeTypeAndValue) string {
	s, _ := p.Value.(string)
	return s
}

// shortNames are OpenSSL's for the parts of names (RFC 4519).
var shortNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.4": "SN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street", "2.5.4.10": "O",
	"2.5.4.11": "OU", "2.5.4.12": "title", "2.5.4.17": "postalCode", "2.5.4.42": "GN", "1.2.840.113549.1.9.1": "emailAddress",
	"0.9.2342.19200300.100.1.1": "UID", "0.9.2342.19200300.100.1.25": "DC",
}

func shortName(p pkix.AttributeTypeAndValue) string {
	oid := p.Type.String()
	if name, ok := shortNames[oid]; ok {
		return name
	}
	return oid
}
