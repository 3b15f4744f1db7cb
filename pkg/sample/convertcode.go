package sample

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strconv"
	"unicode/utf8"
)

const upperHex = "0123456789ABCDEF"

// codeConverters encode, decode and hash.
var codeConverters = map[string]*converter{
	"base64":  {in: Binary, out: String, do: encodeBase64(base64.StdEncoding)},
	"b64dec":  {in: String, out: Binary, do: decodeBase64(base64.StdEncoding)},
	"ub64enc": {in: Binary, out: String, do: encodeBase64(base64.RawURLEncoding)},
	"ub64dec": {in: String, out: Binary, do: decodeBase64(base64.RawURLEncoding)},
	"url_dec": {in: String, out: String, arg: optNumber, do: decodeURL},
	"url_enc": {in: String, out: String, arg: optText, do: encodeURL},
	"hex":     {in: Binary, out: String, do: encodeHex},
	"hex2i":   {in: String, out: Int, do: decodeHexInt},
	"json":    {in: String, out: String, arg: argSpec{0, 1, parseJSON}, do: encodeJSON},
	"sha1":    {in: Binary, out: Binary, do: func(e *evaluator, v Value, _ *args) (Value, bool) { s := sha1.Sum(v.Text); return keep(e, s[:]), true }},
	"sha2":    {in: Binary, out: Binary, arg: argSpec{0, 1, parseSHA2}, do: hashSHA2},
	"crc32":   hashing(crc32.ChecksumIEEE),
	"crc32c":  hashing(func(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }),
	"djb2":    hashing(hashDJB2),
	"sdbm":    hashing(hashSDBM),
	"wt6":     hashing(hashWT6),
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeBase64(enc *base64.Encoding) func(*evaluator, Value, *args) (Value, bool) {
	return func(e *evaluator, v Value, _ *args) (Value, bool) {
		start := len(e.scratch)
		e.scratch = enc.AppendEncode(e.scratch, v.Text)
		return text(e.scratch[start:]), true
	}
}

func decodeBase64(enc *base64.Encoding) func(*evaluator, Value, *args) (Value, bool) {
	return func(e *evaluator, v Value, _ *args) (Value, bool) {
		start := len(e.scratch)
		out, err := enc.AppendDecode(e.scratch, v.Text)
		if err != nil {
			return Value{}, false
		}
		e.scratch = out
		return text(e.scratch[start:]), true
	}
}

// decodeURL undoes percent-encoding; with an argument of 1 a plus is a blank in the whole text, otherwise
// behind the first question mark only.
func decodeURL(e *evaluator, v Value, a *args) (Value, bool) {
	start := len(e.scratch)
	query := a.nums[0] == 1
	for i := 0; i < len(v.Text); i++ {
		c := v.Text[i]
		switch {
		case c == '+' && query:
			c = ' '
		case c == '?':
			query = true
		case c == '%':
			if i+2 >= len(v.Text) {
				return Value{}, false
			}
			n, digits := hexGroup(v.Text[i+1 : i+3])
			if digits != 2 {
				return Value{}, false
			}
			c = byte(n)
			i += 2
		}
		e.scratch = append(e.scratch, c)
	}
	return text(e.scratch[start:]), true
}

func encodeURL(e *evaluator, v Value, _ *args) (Value, bool) {
	start := len(e.scratch)
	for _, c := range v.Text {
		l := lowerByte(c)
		if l >= 'a' && l <= 'z' || c >= '0' && c <= '9' || isOneOf(c, "-._~") {
			e.scratch = append(e.scratch, c)
		} else {
			e.scratch = append(e.scratch, '%', upperHex[c>>4], upperHex[c&15])
		}
	}
	return text(e.scratch[start:]), true
}

// encodeHex writes bytes in hexadecimal; a number is eight of them, an address as many as it has.
func encodeHex(e *evaluator, v Value, _ *args) (Value, bool) {
	start := len(e.scratch)
	for _, c := range v.Text {
		e.scratch = append(e.scratch, upperHex[c>>4], upperHex[c&15])
	}
	return text(e.scratch[start:]), true
}

// appendRaw appends the bytes of a value: eight of a number, and as many of an address as it has.
func appendRaw(dst []byte, v Value) []byte {
	switch v.Type {
	case Bool, Int:
		return binary.BigEndian.AppendUint64(dst, uint64(v.Int))
	case Addr:
		if v.Addr.Is4() {
			a := v.Addr.As4()
			return append(dst, a[:]...)
		}
		a := v.Addr.As16()
		return append(dst, a[:]...)
	}
	return append(dst, v.Text...)
}

func decodeHexInt(_ *evaluator, v Value, _ *args) (Value, bool) {
	if len(v.Text) == 0 {
		return integer(0), true
	}
	n, err := strconv.ParseUint(string(v.Text), 16, 64)
	return integer(int64(n)), err == nil
}

func parseJSON(p *argParser) *Error {
	switch p.text(0) {
	case "", "ascii", "utf8", "utf8s", "utf8p", "utf8ps":
		p.out.texts[0] = p.text(0)
		return nil
	}
	return errorf(0, "%s knows 'ascii', 'utf8', 'utf8s', 'utf8p' and 'utf8ps', not '%s'", p.what, p.list[0])
}

// encodeJSON escapes what may not stand in a JSON string. Of input that is not UTF-8, and of characters that do not fit in
// four digits, utf8 and utf8p give up, and utf8s and utf8ps pass them by; those with a p take characters in more bytes than
// they need.
func encodeJSON(e *evaluator, v Value, a *args) (Value, bool) {
	mode := a.texts[0]
	patient := mode == "utf8s" || mode == "utf8ps"
	start := len(e.scratch)
	for b := v.Text; len(b) > 0; {
		r, size, ok := rune(b[0]), 1, true
		if mode != "" && mode != "ascii" && r >= utf8.RuneSelf {
			r, size, ok = decodeRune(b, mode == "utf8p" || mode == "utf8ps")
		}
		switch {
		case ok:
			e.scratch = appendJSONRune(e.scratch, r)
		case !patient:
			return Value{}, false
		}
		b = b[size:]
	}
	return text(e.scratch[start:]), true
}

// decodeRune reads a character of at most 16 bits, with overlong one of more bytes than it needs (RFC 3629, section 3), too.
func decodeRune(b []byte, overlong bool) (r rune, size int, ok bool) {
	if r, size = utf8.DecodeRune(b); r != utf8.RuneError || size > 1 {
		return r, size, r <= 0xffff
	}
	lead := map[byte]int{0xc0: 2, 0xc1: 2, 0xe0: 3, 0xf0: 4}
	n := lead[b[0]]
	if !overlong || n == 0 || len(b) < n {
		return r, size, false
	}
	r = rune(b[0] & 1) // the others have no bits of their own
	for _, c := range b[1:n] {
		if c&0xc0 != 0x80 {
			return utf8.RuneError, 1, false
		}
		r = r<<6 | rune(c&0x3f)
	}
	return r, n, true
}

func appendJSONRune(dst []byte, r rune) []byte {
	switch r {
	case '"', '\\', '/':
		return append(dst, '\\', byte(r))
	case '\b':
		return append(dst, `\b`...)
	case '\f':
		return append(dst, `\f`...)
	case '\n':
		return append(dst, `\n`...)
	case '\r':
		return append(dst, `\r`...)
	case '\t':
		return append(dst, `\t`...)
	}
	if r >= ' ' && r < 0x7f {
		return append(dst, byte(r))
	}
	const hex = "0123456789abcdef"
	return append(dst, '\\', 'u', hex[r>>12&15], hex[r>>8&15], hex[r>>4&15], hex[r&15])
}

func parseSHA2(p *argParser) *Error {
	if err := p.number(0, 256); err != nil {
		return err
	}
	switch p.out.nums[0] {
	case 224, 256, 384, 512:
		return nil
	}
	return errorf(0, "%s knows 224, 256, 384 and 512 bits, not '%s'", p.what, p.list[0])
}

func hashSHA2(e *evaluator, v Value, a *args) (Value, bool) {
	switch a.nums[0] {
	case 224:
		s := sha256.Sum224(v.Text)
		return keep(e, s[:]), true
	case 384:
		s := sha512.Sum384(v.Text)
		return keep(e, s[:]), true
	case 512:
		s := sha512.Sum512(v.Text)
		return keep(e, s[:]), true
	}
	s := sha256.Sum256(v.Text)
	return keep(e, s[:]), true
}

// hashing makes a converter of a 32-bit hash; an argument that is not 0 adds a full avalanche.
func hashing(f func([]byte) uint32) *converter {
	return &converter{in: Binary, out: Int, arg: optNumber, do: func(_ *evaluator, v Value, a *args) (Value, bool) {
		h := f(v.Text)
		if a.nums[0] != 0 {
			h = avalanche(h)
		}
		return integer(int64(h)), true
	}}
}

func hashDJB2(b []byte) uint32 {
	h := uint32(5381)
	for _, c := range b {
		h = h*33 + uint32(c)
	}
	return h
}

func hashSDBM(b []byte) uint32 {
	h := uint32(0)
	for _, c := range b {
		h = uint32(c) + h<<6 + h<<16 - h
	}
	return h
}

// avalanche spreads a hash over all its bits: Bob Jenkins' integer hash of six shifts, with whose results
// HAProxy's full avalanche agrees.
func avalanche(h uint32) uint32 {
	h = (h + 0x7ed55d16) + h<<12
	h = (h ^ 0xc761c23c) ^ h>>19
	h = (h + 0x165667b1) + h<<5
	h = (h + 0xd3a2646c) ^ h<<9
	h = (h + 0xfd7046c5) + h<<3
	return ((h ^ 0xb55a4f09) ^ h>>16) * 3221225473
}
