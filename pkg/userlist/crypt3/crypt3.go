// Package crypt3 checks passwords against what crypt(3) makes of them, in the formats that userlists hold: $1$ (MD5), $5$
// (SHA-256), $6$ (SHA-512), and $2a$, $2b$ and $2y$ (bcrypt).
package crypt3

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Hash is a password as crypt(3) keeps it. It is immutable and safe for concurrent use.
type Hash struct {
	text   string
	scheme scheme
	salt   string
	rounds int
}

// scheme makes the last part of a hash.
type scheme func(password, salt []byte, rounds int) string

// The bounds of the SHA schemes (Drepper, "Unix crypt using SHA-256 and SHA-512", section 3).
const (
	defaultRounds = 5000
	minRounds     = 1000
	maxRounds     = 999_999_999
	maxSalt       = 16
	maxMD5Salt    = 8
)

// Slowest is the most rounds that a hash may ask for: about two seconds of a CPU for each password that somebody sends.
const Slowest = 5_000_000

// maxBcrypt is the cost of bcrypt with the same meaning: each step doubles the time, and 10 takes about 60 ms.
const maxBcrypt = 15

// MaxPassword is how long a password may be: the time of the older schemes grows with it. glibc and libxcrypt have 512 at most.
const MaxPassword = 512

// ErrNever is the error of Parse for what is no hash at all, such as the `*` and `!` of locked accounts and the $apr1$ of
// htpasswd, which crypt(3) of glibc and libxcrypt does not know: no password ever makes it, with HAProxy neither.
var ErrNever = errors.New("no password ever makes this hash")

// others are the formats of libxcrypt that are not supported: those of HAProxy on a system that has it.
var others = []string{"y", "gy", "7", "sha1", "md5", "3", "2x"}

// Parse reads a hash. The error is ErrNever, or says what it would take to check a password against the hash.
func Parse(text string) (*Hash, error) {
	h := &Hash{text: text}
	if !strings.HasPrefix(text, "$") {
		if len(text) == 13 && strings.Trim(text, alphabet) == "" || strings.HasPrefix(text, "_") && len(text) == 20 {
			return nil, errors.New("a hash of DES is valid HAProxy but not supported by waggle: 'mkpasswd -m sha-512' makes one that is")
		}
		return nil, ErrNever
	}
	name, rest, ok := strings.Cut(text[1:], "$")
	if !ok {
		return nil, ErrNever
	}
	switch name {
	case "1":
		return h.salted(md5crypt, rest, maxMD5Salt, 22)
	case "5", "6":
		var err error
		if rest, err = h.takeRounds(rest); err != nil {
			return nil, err
		}
		if name == "5" {
			return h.salted(sha256crypt, rest, maxSalt, 43)
		}
		return h.salted(sha512crypt, rest, maxSalt, 86)
	case "2a", "2b", "2y":
		return h.bcrypt(rest)
	}
	if slices.Contains(others, name) {
		return nil, fmt.Errorf("a hash of kind $%s$ is valid HAProxy but not supported by waggle: 'mkpasswd -m sha-512' makes one that is", name)
	}
	return nil, ErrNever
}

// bcrypt reads `<cost>$<salt><sum>`.
func (h *Hash) bcrypt(rest string) (*Hash, error) {
	if len(h.text) != bcryptLength {
		return nil, ErrNever
	}
	cost, salt, err := parseBcrypt(rest)
	switch {
	case err != nil:
		return nil, err
	case cost > maxBcrypt:
		return nil, fmt.Errorf("a hash of cost %d is valid HAProxy but not supported by waggle: it takes minutes for each password that somebody sends: at most %d", cost, maxBcrypt)
	}
	h.scheme, h.salt, h.rounds = bcrypt, salt, 1<<cost
	return h, nil
}

// takeRounds reads `rounds=<n>$` in front of the salt.
func (h *Hash) takeRounds(rest string) (string, error) {
	h.rounds = defaultRounds
	text, given := strings.CutPrefix(rest, "rounds=")
	if !given {
		return rest, nil
	}
	number, rest, _ := strings.Cut(text, "$")
	n, err := strconv.Atoi(number)
	switch {
	case err != nil || n < minRounds || n > maxRounds || number[0] == '0': // libxcrypt refuses them too
		return "", ErrNever
	case n > Slowest:
		return "", fmt.Errorf("a hash of %d rounds is valid HAProxy but not supported by waggle: it takes seconds for each password that somebody sends: at most %d", n, Slowest)
	}
	h.rounds = n
	return rest, nil
}

// salted reads `<salt>$<sum>`.
func (h *Hash) salted(s scheme, rest string, longest, size int) (*Hash, error) {
	salt, sum, ok := strings.Cut(rest, "$")
	if !ok || len(salt) > longest || len(sum) != size || strings.Trim(sum, alphabet) != "" {
		return nil, ErrNever
	}
	h.scheme, h.salt = s, salt
	return h, nil
}

// Match says whether the hash is that of a password. It takes milliseconds of a CPU, or much more, as the hash asks for, and lets
// other goroutines in meanwhile.
func (h *Hash) Match(password []byte) bool {
	if len(password) > MaxPassword {
		return false
	}
	sum := h.scheme(password, []byte(h.salt), h.rounds)
	return subtle.ConstantTimeCompare([]byte(sum), []byte(h.text[len(h.text)-len(sum):])) == 1
}

// String gives the hash as it was written.
func (h *Hash) String() string { return h.text }

const alphabet = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// encode writes bytes of a sum in crypt's order, in groups of three whose first is the most significant; -1 is 0. The last
// group may have fewer characters.
func encode(sum []byte, order []int8, chars int) string {
	out := make([]byte, 0, chars)
	for ; len(order) > 0; order = order[3:] {
		group := uint32(0)
		for _, i := range order[:3] {
			group <<= 8
			if i >= 0 {
				group |= uint32(sum[i])
			}
		}
		for range min(4, chars-len(out)) {
			out = append(out, alphabet[group&63])
			group >>= 6
		}
	}
	return string(out)
}

// fill gives n bytes of a sum, over and over.
func fill(sum []byte, n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = sum[i%len(sum)]
	}
	return out
}
