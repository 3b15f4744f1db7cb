package certs

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"

	"waggle/pkg/config"
)

// loader reads the files of a bind line into a set. It goes on after an error, to tell all of them.
type loader struct {
	store *Store
	set   *set
	files files
	errs  []error
	first []*entry // of the line, unless default-crt says otherwise
}

func (l *loader) load() {
	t := &l.store.bind.TLS
	base := l.store.newConfig(t)
	l.authorities(t, base)
	l.set.base = newAlternatives(base)
	for _, c := range t.Certs {
		switch {
		case c.List:
			l.list(c)
		case c.Default:
			for _, name := range bundle(c.Path) {
				if e := l.file(name); e != nil {
					l.set.add(e)
					l.set.fallback = insert(l.set.fallback, e)
				}
			}
		default:
			l.path(c.Path)
		}
	}
	if l.set.fallback == nil {
		l.set.fallback = l.first
	}
	if len(l.errs) == 0 && l.set.count == 0 {
		l.errs = append(l.errs, fmt.Errorf("no certificate in '%s'", t.Certs[0].Path))
	}
}

// authorities asks clients for certificates where the options say so.
func (l *loader) authorities(t *config.BindTLS, c *tls.Config) {
	if t.CAFile == "" || t.Verify == "" || t.Verify == "none" {
		return
	}
	pool, err := l.files.authorities(t.CAFile)
	if err != nil {
		l.errs = append(l.errs, err)
		return
	}
	c.ClientCAs, c.ClientAuth = pool, tls.RequireAndVerifyClientCert
	if t.Verify == "optional" {
		c.ClientAuth = tls.VerifyClientCertIfGiven
	}
}

// path loads a file, the files of a bundle, or a directory.
func (l *loader) path(path string) {
	names, isDir := directory(path)
	if !isDir {
		names = bundle(path)
	}
	for _, name := range names {
		e := l.file(name)
		if e == nil {
			continue
		}
		l.set.add(e)
		if l.first == nil || !isDir && slices.Equal(l.first[0].names, e.names) {
			l.first = insert(l.first, e)
		}
	}
}

// file loads a certificate for the names that it has: the alternative ones and, as in HAProxy, the common one.
func (l *loader) file(name string) *entry {
	cert, err := l.files.pair(name)
	if err != nil {
		l.errs = append(l.errs, err)
		return nil
	}
	names := slices.Clone(cert.Leaf.DNSNames)
	if cn := cert.Leaf.Subject.CommonName; cn != "" && !slices.Contains(names, cn) {
		names = append(names, cn)
	}
	return &entry{cert: cert, names: names}
}

// list reads a crt-list: `<file> [\[<options>\]] [[!]<name> …]` on each line (HAProxy, crt-list).
func (l *loader) list(c config.Certificate) {
	content, err := l.files.read(c.Path)
	if err != nil {
		l.errs = append(l.errs, fmt.Errorf("unable to read crt-list '%s': %w", c.Path, err))
		return
	}
	n := 0
	for line := range strings.Lines(string(content)) {
		n++
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		if err := l.listed(c, line); err != nil {
			l.errs = append(l.errs, fmt.Errorf("crt-list '%s', line %d: %w", c.Path, n, err))
		}
	}
}

// listed handles a line of a list.
func (l *loader) listed(c config.Certificate, line string) error {
	path, options, names, err := cutListed(line)
	if err != nil {
		return err
	}
	var own *alternatives
	if options != nil {
		t, err := config.ParseListOptions(l.store.bind.TLS, options)
		if err != nil {
			return err
		}
		c := l.store.newConfig(&t)
		l.authorities(&t, c)
		own = newAlternatives(c)
	}
	for _, file := range bundle(c.Under(path)) {
		e := l.file(file)
		if e == nil {
			continue
		}
		e.config = own
		if names != nil {
			e.names = nil
		}
		for _, name := range names {
			switch {
			case name == "*":
				l.set.fallback = insert(l.set.fallback, e)
			case name[0] == '!':
				e.except = append(e.except, strings.ToLower(name[1:]))
			default:
				e.names = append(e.names, name)
			}
		}
		l.set.add(e)
		if l.first == nil {
			l.first = []*entry{e}
		}
	}
	return nil
}

// cutListed takes a line of a list apart. names is nil where none are written: the certificate's own count then.
func cutListed(line string) (path string, options, names []string, err error) {
	words := strings.Fields(line)
	path, words = words[0], words[1:]
	if len(words) > 0 && strings.HasPrefix(words[0], "[") {
		end := slices.IndexFunc(words, func(w string) bool { return strings.HasSuffix(w, "]") })
		if end < 0 {
			return "", nil, nil, fmt.Errorf("'[' without ']'")
		}
		text := strings.Join(words[:end+1], " ")
		options = strings.Fields(text[1 : len(text)-1])
		words = words[end+1:]
	}
	if len(words) > 0 {
		names = words
	}
	return path, options, names, nil
}
