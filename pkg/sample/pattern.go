package sample

import (
	"encoding/hex"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// pattern is one pattern, compiled for a way of comparing. What it means depends on the method.
type pattern struct {
	text   string // in lower case if the comparison folds
	net    netip.Prefix
	span   intRange
	regexp *regexp.Regexp
}

type intRange struct{ low, high int64 }

func (r intRange) has(n int64) bool { return r.low <= n && n <= r.high }

// String is the form in which HAProxy keeps it.
func (r intRange) String() string {
	if r.low == r.high {
		return strconv.FormatInt(r.low, 10)
	}
	out := ":"
	if r.low != math.MinInt64 {
		out = strconv.FormatInt(r.low, 10) + ":"
	}
	if r.high != math.MaxInt64 {
		out += strconv.FormatInt(r.high, 10)
	}
	return out
}

// comparison is how a value is compared, which decides what a pattern is compiled to.
type comparison struct {
	method method
	fold   bool // -i
}

// ordered says whether the method compares numbers.
func (m method) ordered() bool { return m == matchInt || m == matchLength }

func isOperator(w string) bool {
	switch w {
	case "eq", "ge", "gt", "le", "lt":
		return true
	}
	return false
}

// compile makes one pattern of a word.
func (c comparison) compile(word string) (pattern, *Error) {
	switch c.method {
	case matchFound:
		return pattern{}, nil
	case matchBool:
		return pattern{span: intRange{1, 1}}, nil // whatever it says
	case matchInt, matchLength, matchAddr, matchBinary: // in a file, where text has them
		word = strings.Trim(word, " \t")
	}
	switch c.method {
	case matchInt, matchLength:
		operator := ""
		if first, rest, ok := strings.Cut(word, " "); ok && isOperator(first) {
			operator, word = first, strings.TrimSpace(rest)
		}
		r, err := parseRange(word, operator)
		return pattern{span: r}, err
	case matchAddr:
		prefix, err := parsePrefix(word)
		return pattern{net: prefix}, err
	case matchBinary:
		b, err := hex.DecodeString(word)
		if err != nil {
			return pattern{}, errorf(0, "'%s' is not an even number of hexadecimal digits", word)
		}
		return pattern{text: string(b)}, nil
	case matchRegexp:
		re, err := c.compileRegexp(word)
		return pattern{regexp: re}, err
	}
	if c.fold {
		word = lowerASCII(word)
	}
	return pattern{text: word}, nil
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lowerByte(c)
	}
	return string(b)
}

// compileRegexp compiles a regular expression. The syntax is RE2's: the same as HAProxy's PCRE for what
// configurations usually hold, without look-around and back-references.
func (c comparison) compileRegexp(word string) (*regexp.Regexp, *Error) {
	flags := ""
	if c.fold {
		flags = "(?i)"
	}
	re, err := regexp.Compile(flags + word)
	if err != nil {
		return nil, errorf(0, "regex '%s' is invalid: %s", word, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return re, nil
}

// parseRange reads `n`, `low:high`, `low:` and `:high`, each behind an operator or none.
func parseRange(word, operator string) (intRange, *Error) {
	low, high, isRange := strings.Cut(word, ":")
	r := intRange{math.MinInt64, math.MaxInt64}
	bad := errorf(0, "'%s' is not a number or a range of numbers", word)
	if strings.ContainsRune(word, '+') { // HAProxy knows no sign but the minus
		return r, bad
	}
	var err error
	if low != "" {
		if r.low, err = strconv.ParseInt(low, 10, 64); err != nil {
			return r, bad
		}
	}
	switch {
	case !isRange && low == "":
		return r, bad
	case !isRange:
		r.high = r.low
	case high != "":
		if r.high, err = strconv.ParseInt(high, 10, 64); err != nil {
			return r, bad
		}
	}
	return r.under(operator, word, isRange)
}

// under applies a comparison operator to a single number.
func (r intRange) under(operator, word string, isRange bool) (intRange, *Error) {
	if operator == "" || operator == "eq" {
		if r.low > r.high {
			return r, errorf(0, "the range '%s' is empty", word)
		}
		return r, nil
	}
	if isRange {
		return r, errorf(0, "operator '%s' needs one number, not the range '%s'", operator, word)
	}
	n := r.low
	switch operator {
	case "ge":
		return intRange{n, math.MaxInt64}, nil
	case "gt":
		if n == math.MaxInt64 {
			return r, errorf(0, "nothing is greater than %s", word)
		}
		return intRange{n + 1, math.MaxInt64}, nil
	case "le":
		return intRange{math.MinInt64, n}, nil
	default:
		if n == math.MinInt64 {
			return r, errorf(0, "nothing is less than %s", word)
		}
		return intRange{math.MinInt64, n - 1}, nil
	}
}

// parsePrefix reads an address, a prefix, or an IPv4 address with a dotted mask.
func parsePrefix(word string) (netip.Prefix, *Error) {
	host, mask, masked := strings.Cut(word, "/")
	a, err := netip.ParseAddr(host)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, errorf(0, "'%s' is not a valid IPv4 or IPv6 address or network", word)
	}
	a = a.Unmap()
	bits := a.BitLen()
	if masked {
		if bits, err = strconv.Atoi(mask); err != nil && a.Is4() {
			bits, err = maskBits(mask)
		}
		if err != nil || bits < 0 || bits > a.BitLen() {
			return netip.Prefix{}, errorf(0, "'%s' has an invalid network mask", word)
		}
	}
	return netip.PrefixFrom(a, bits).Masked(), nil
}

// maskBits counts the bits of a contiguous dotted mask.
func maskBits(mask string) (int, error) {
	m, err := netip.ParseAddr(mask)
	if err != nil || !m.Is4() {
		return 0, strconv.ErrSyntax
	}
	quad := m.As4()
	n := uint32(quad[0])<<24 | uint32(quad[1])<<16 | uint32(quad[2])<<8 | uint32(quad[3])
	bits := 0
	for ; n&(1<<31) != 0; n <<= 1 {
		bits++
	}
	if n != 0 {
		return 0, strconv.ErrRange
	}
	return bits, nil
}
