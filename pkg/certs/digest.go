package certs

import (
	"crypto/sha256"
	"hash"
)

// digest is the content of files as one number. The zero value is that of none.
type digest struct{ h hash.Hash }

func (d *digest) add(name string, content []byte) {
	if d.h == nil {
		d.h = sha256.New()
	}
	sum := sha256.Sum256(content)
	d.h.Write(append([]byte(name+"\x00"), sum[:]...))
}

func (d *digest) sum() string {
	if d.h == nil {
		return ""
	}
	return string(d.h.Sum(nil))
}
