package crypt3

import (
	"crypto/md5" //nolint:gosec // what the format asks for
)

var orderMD5 = []int8{0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 4, 10, 5, -1, -1, 11}

// md5crypt is the scheme of FreeBSD, $1$.
func md5crypt(password, salt []byte, _ int) string {
	h := md5.New() //nolint:gosec // see above
	first := [][]byte{password, []byte("$1$"), salt, fill(sum(h, password, salt, password), len(password))}
	for n := len(password); n > 0; n >>= 1 {
		if n&1 == 1 {
			first = append(first, []byte{0})
		} else {
			first = append(first, password[:1])
		}
	}
	return encode(repeat(h, sum(h, first...), password, salt, 1000), orderMD5, 22)
}
