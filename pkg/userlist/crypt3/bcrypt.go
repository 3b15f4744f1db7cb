package crypt3

import (
	"encoding/base64"
	"errors"
	"runtime"
	"strconv"

	"golang.org/x/crypto/blowfish" //nolint:staticcheck // deprecated for new systems; bcrypt is made of it
)

// The parts of a hash of bcrypt: "$2y$", two digits, "$", 22 characters of salt, 31 of the sum.
const (
	bcryptLength = 60
	bcryptSalt   = 22
	bcryptSum    = 31
	minCost      = 4
	maxCost      = 31
)

// bcryptText is what is encrypted with the key that the password makes.
const bcryptText = "OrpheanBeholderScryDoubt"

var bcryptEncoding = base64.NewEncoding("./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789").WithPadding(base64.NoPadding)

// parseBcrypt reads what follows "$2y$" and its like, in a hash of the right length.
func parseBcrypt(rest string) (cost int, salt string, err error) {
	digits, sum := rest[:2], rest[3+bcryptSalt:]
	cost, err = strconv.Atoi(digits)
	if err != nil || cost < minCost || cost > maxCost || rest[2] != '$' {
		return 0, "", ErrNever
	}
	raw, err := bcryptEncoding.DecodeString(rest[3 : 3+bcryptSalt])
	_, wrong := bcryptEncoding.DecodeString(sum)
	if errors.Join(err, wrong) != nil {
		return 0, "", ErrNever
	}
	return cost, string(raw), nil
}

// bcrypt makes the last part of a hash (Provos and Mazières, "A Future-Adaptable Password Scheme", section 4), whose rounds are
// 1 << cost. It is done here, and not by x/crypto/bcrypt, since that lets nobody else in: see yieldEvery. One round takes as long
// as some hundred of the other schemes.
func bcrypt(password, salt []byte, rounds int) string {
	key := append(append(make([]byte, 0, len(password)+1), password...), 0) // the NUL that ends it in C belongs to it
	c, _ := blowfish.NewSaltedCipher(key, salt)                             // fails for an empty key only
	for range rounds {
		runtime.Gosched()
		blowfish.ExpandKey(key, c)
		blowfish.ExpandKey(salt, c)
	}
	sum := []byte(bcryptText)
	for block := sum; len(block) > 0; block = block[blowfish.BlockSize:] {
		for range 64 {
			c.Encrypt(block, block)
		}
	}
	return bcryptEncoding.EncodeToString(sum[:len(sum)-1]) // as all others, which forget the last byte
}
