package config

import (
	"crypto/sha256"
	"encoding/binary"
)

// Fingerprint tells by content whether what Load would read has changed: the names of the files and what is in them.
// What the files themselves name (certificates, error pages, lists of patterns) is not part of it.
func Fingerprint(paths []string, opts LoadOptions) ([sha256.Size]byte, error) {
	opts = opts.withDefaults()
	sum := sha256.New()
	add := func(b []byte) {
		_, _ = sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(b)))) // of a hash: never fails
		_, _ = sum.Write(b)
	}
	for _, path := range paths {
		names, err := opts.expand(path)
		if err != nil {
			return [sha256.Size]byte{}, err
		}
		for _, name := range names {
			content, err := opts.ReadFile(name)
			if err != nil {
				return [sha256.Size]byte{}, err
			}
			add([]byte(name))
			add(content)
		}
	}
	return [sha256.Size]byte(sum.Sum(nil)), nil
}
