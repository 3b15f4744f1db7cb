package sample

import (
	"bytes"
	"math"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// addWords adds the patterns of a line. first is the index of words[0] in the whole line.
func (p *patterns) addWords(words []string, first int) *Error {
	operator := ""
	for i, w := range words {
		if p.ordered() && isOperator(w) {
			operator = w
			if i+1 == len(words) {
				return errorf(first+i, "missing value behind the operator '%s'", w)
			}
			continue
		}
		if err := p.add(w, operator); err != nil {
			return err.at(first + i)
		}
	}
	return nil
}

// ordered says whether the method compares numbers.
func (p *patterns) ordered() bool { return p.method == matchInt || p.method == matchLength }

func isOperator(w string) bool {
	switch w {
	case "eq", "ge", "gt", "le", "lt":
		return true
	}
	return false
}

// add compiles one pattern.
func (p *patterns) add(word, operator string) *Error {
	switch p.method {
	case matchFound:
		return errorf(0, "match method 'found' takes no pattern, got '%s'", word)
	case matchBool:
		return p.addBool(word)
	case matchInt, matchLength:
		r, err := parseRange(word, operator)
		p.ranges = append(p.ranges, r)
		return err
	case matchAddr:
		prefix, err := parsePrefix(word)
		p.prefixes = append(p.prefixes, prefix)
		return err
	case matchRegexp:
		return p.addRegexp(word)
	}
	if p.fold {
		word = strings.Map(func(r rune) rune {
			if r < 0x80 {
				return rune(lowerByte(byte(r)))
			}
			return r
		}, word)
	}
	p.texts = append(p.texts, []byte(word))
	return nil
}

func (p *patterns) addBool(word string) *Error {
	switch strings.ToLower(word) {
	case "true", "on", "enable", "enabled", "yes", "1":
		p.truth[1] = true
	case "false", "off", "disable", "disabled", "no", "0":
		p.truth[0] = true
	default:
		return errorf(0, "'%s' is neither true nor false", word)
	}
	return nil
}

// addRegexp compiles a regular expression. The syntax is RE2's: the same as HAProxy's PCRE for what
// configurations usually hold, without look-around and back-references.
func (p *patterns) addRegexp(word string) *Error {
	flags := ""
	if p.fold {
		flags = "(?i)"
	}
	re, err := regexp.Compile(flags + word)
	if err != nil {
		return errorf(0, "regex '%s' is invalid: %s", word, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	p.regexps = append(p.regexps, re)
	return nil
}

// parseRange reads `n`, `low:high`, `low:` and `:high`, each behind an operator or none.
func parseRange(word, operator string) (intRange, *Error) {
	low, high, isRange := strings.Cut(word, ":")
	r := intRange{math.MinInt64, math.MaxInt64}
	bad := errorf(0, "'%s' is not a number or a range of numbers", word)
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

// addFile adds a pattern for each line of a file; empty lines and lines that begin with # are passed
// by, and blanks around a pattern are dropped.
func (p *patterns) addFile(name string, content []byte) *Error {
	for n, line := range bytes.Split(content, []byte("\n")) {
		word := strings.TrimSpace(string(line))
		if word == "" || word[0] == '#' {
			continue
		}
		operator := ""
		if first, rest, ok := strings.Cut(word, " "); ok && p.ordered() && isOperator(first) {
			operator, word = first, strings.TrimSpace(rest)
		}
		if err := p.add(word, operator); err != nil {
			return errorf(0, "%s, line %d of pattern file '%s'", err.Text, n+1, name)
		}
	}
	return nil
}
