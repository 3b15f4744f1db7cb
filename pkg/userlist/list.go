// Package userlist has users with their passwords and groups, as `userlist` sections name them, and checks passwords
// without holding up who asks. It does no I/O and imports nothing of ours but its own hashes.
package userlist

import (
	"crypto/sha256"
	"crypto/subtle"
	"strings"

	"waggle/pkg/userlist/crypt3"
)

// User is one user of a list.
type User struct {
	Name   string
	Plain  string       // the password itself; only if Hash is nil
	Hash   *crypt3.Hash // of the password
	Locked bool         // no password is right
	Groups []string
}

// List is a `userlist` section. It is immutable once the configuration is read, and then safe for concurrent use.
type List struct {
	Name  string
	Users map[string]*User
}

// matches compares with a password that is kept as it is, in a time that tells nothing of it.
func (u *User) matches(password []byte) bool {
	want, got := sha256.Sum256([]byte(u.Plain)), sha256.Sum256(password)
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

var quoted = strings.NewReplacer(`\`, `\\`, `"`, `\"`)

// Challenge is the WWW-Authenticate that asks for a name and a password by HTTP Basic authentication (RFC 7617).
func Challenge(realm string) string { return `Basic realm="` + quoted.Replace(realm) + `"` }
