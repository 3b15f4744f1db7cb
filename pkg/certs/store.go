package certs

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"waggle/pkg/config"
)

// Store is the certificates of a bind line. Its methods may be called from any goroutine.
type Store struct {
	bind    config.Bind
	base    *tls.Config // the tickets' keys are its own, so they outlive a reload
	current atomic.Pointer[set]
	seen    string // digest of the files at the last look; only Reload touches it
}

// set is what one look at the files has found. It is immutable.
type set struct {
	exact, wild map[string][]*entry // by name in lower case; wild without the asterisk
	fallback    []*entry            // for clients whose name nobody has
	base        *alternatives       // with what has been read from files
	expires     time.Time           // the first of all
	count       int
}

// entry is a certificate with the options of its line in a list.
type entry struct {
	cert   *tls.Certificate
	names  []string      // what it is for, as written
	except []string      // of its wildcards
	config *alternatives // nil: the bind line's
}

// alternatives are a configuration, and the same without protocols to choose from: a client that knows none of them is
// served all the same, as by HAProxy, where crypto/tls would end the handshake (RFC 7301, section 3.2).
type alternatives struct{ offering, bare *tls.Config }

func newAlternatives(c *tls.Config) *alternatives {
	bare := c.Clone()
	bare.NextProtos = nil
	return &alternatives{c, bare}
}

// of gives the configuration for a client.
func (a *alternatives) of(hello *tls.ClientHelloInfo) *tls.Config {
	if slices.ContainsFunc(hello.SupportedProtos, func(p string) bool { return slices.Contains(a.offering.NextProtos, p) }) {
		return a.offering
	}
	return a.bare
}

// Load reads all certificates of a bind line. The error joins all that is wrong, each with its file.
func Load(b *config.Bind) (*Store, error) {
	s := &Store{bind: *b}
	s.base = s.newConfig(&b.TLS)
	s.base.GetConfigForClient = s.configFor
	if _, err := s.Reload(); err != nil {
		return nil, err
	}
	return s, nil
}

// Config is what a handshake begins with.
func (s *Store) Config() *tls.Config { return s.base }

// Name is the address of the bind line.
func (s *Store) Name() string { return s.bind.Addr.String() }

// Expires is when the first of the certificates ends to be valid.
func (s *Store) Expires() time.Time { return s.current.Load().expires }

// Count is the number of certificates.
func (s *Store) Count() int { return s.current.Load().count }

// Reload looks at the files and, if their content is not what it was, loads them. When that fails the
// certificates stay as they are, and the next call does not try again before the content changes. It is for one goroutine.
func (s *Store) Reload() (changed bool, err error) {
	l := loader{store: s, set: &set{exact: map[string][]*entry{}, wild: map[string][]*entry{}}}
	l.load()
	seen := l.files.digest.sum()
	if seen == s.seen && s.current.Load() != nil { // the first time, nothing seen is an empty directory
		return false, nil
	}
	s.seen = seen
	if err := errors.Join(l.errs...); err != nil {
		return false, err
	}
	s.current.Store(l.set)
	return true, nil
}

// newConfig makes the configuration that options stand for, without what comes from files.
func (s *Store) newConfig(t *config.BindTLS) *tls.Config {
	return &tls.Config{
		MinVersion: t.MinVersion, MaxVersion: t.MaxVersion, CipherSuites: t.Ciphers, CurvePreferences: t.Curves,
		NextProtos: t.ALPN, SessionTicketsDisabled: t.NoTickets, GetCertificate: s.certificateFor,
	}
}

// configFor implements tls.Config.GetConfigForClient: what has been read from files, or the options of the line that
// names the certificate.
func (s *Store) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	now := s.current.Load()
	if found := now.find(hello.ServerName, s.bind.TLS.StrictSNI); len(found) > 0 && found[0].config != nil {
		return found[0].config.of(hello), nil
	}
	return now.base.of(hello), nil
}

// certificateFor implements tls.Config.GetCertificate. Nothing for a client whose name nobody has makes crypto/tls send
// the alert unrecognized_name, as HAProxy does with strict-sni.
func (s *Store) certificateFor(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	found := s.current.Load().find(hello.ServerName, s.bind.TLS.StrictSNI)
	if len(found) == 0 {
		return nil, nil
	}
	asked := *hello
	asked.ServerName = "" // has been looked at; what is left is which kinds of keys the client knows
	for _, e := range found {
		if len(found) == 1 || asked.SupportsCertificate(e.cert) == nil {
			return e.cert, nil
		}
	}
	return found[0].cert, nil
}

// find gives the certificates for a name: those that have it, else those with a wildcard in place of its first label,
// else the default ones unless strict.
func (s *set) find(name string, strict bool) []*entry {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name != "" {
		if found := s.exact[name]; found != nil {
			return found
		}
		if i := strings.IndexByte(name, '.'); i >= 0 {
			found := s.wild[name[i:]]
			if slices.ContainsFunc(found, func(e *entry) bool { return slices.Contains(e.except, name) }) {
				found = slices.DeleteFunc(slices.Clone(found), func(e *entry) bool { return slices.Contains(e.except, name) })
			}
			if len(found) > 0 {
				return found
			}
		}
	}
	if strict {
		return nil
	}
	return s.fallback
}

// add files an entry under its names.
func (s *set) add(e *entry) {
	s.count++
	if end := e.cert.Leaf.NotAfter; s.expires.IsZero() || end.Before(s.expires) {
		s.expires = end
	}
	for _, name := range e.names {
		name = strings.ToLower(name)
		if rest, ok := strings.CutPrefix(name, "*."); ok {
			s.wild["."+rest] = insert(s.wild["."+rest], e)
			continue
		}
		s.exact[name] = insert(s.exact[name], e)
	}
}

// insert keeps one certificate of each kind of key, the first, with elliptic curves before RSA: they are cheaper, and
// a client that does not know them says so.
func insert(list []*entry, e *entry) []*entry {
	for i, other := range list {
		if elliptic(other.cert) == elliptic(e.cert) {
			return list
		}
		if elliptic(e.cert) {
			return slices.Insert(list, i, e)
		}
	}
	return append(list, e)
}

func elliptic(c *tls.Certificate) bool {
	switch c.Leaf.PublicKey.(type) {
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return true
	}
	return false
}
