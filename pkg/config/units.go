package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxTime is HAProxy's longest time: 2^31-1 milliseconds.
const maxTime = math.MaxInt32 * time.Millisecond

var timeUnits = map[string]time.Duration{
	"us": time.Microsecond, "ms": time.Millisecond, "s": time.Second,
	"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}

// parseTime reads a whole number with an optional unit (configuration manual 2.5). As in HAProxy the
// result is rounded up to a millisecond, and a time above maxTime is refused. what names the setting
// in errors.
func parseTime(text, what string, unit time.Duration) (time.Duration, error) {
	digits := strings.TrimRightFunc(text, func(r rune) bool { return r < '0' || r > '9' })
	for i := 0; i < len(digits); i++ {
		if digits[i] < '0' || digits[i] > '9' {
			return 0, fmt.Errorf("unexpected character '%c' in '%s'", digits[i], what)
		}
	}
	suffix := text[len(digits):]
	if digits == "" {
		return 0, fmt.Errorf("'%s' expects a time such as 500ms, 30s or 2m, not '%s'", what, text)
	}
	if suffix != "" {
		u, ok := timeUnits[suffix]
		if !ok {
			return 0, fmt.Errorf("unexpected character '%c' in '%s': a time ends in us, ms, s, m, h or d", firstBad(suffix), what)
		}
		unit = u
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n > int64(maxTime/unit) {
		return 0, fmt.Errorf("timer overflow in argument '%s' to '%s' (maximum value is 2147483647 ms or ~24.8 days)", text, what)
	}
	d := time.Duration(n) * unit
	return (d + time.Millisecond - 1).Truncate(time.Millisecond), nil
}

// firstBad is the first character of a suffix that cannot begin or continue a unit.
func firstBad(suffix string) rune {
	for i, r := range suffix {
		possible := false
		for u := range timeUnits {
			possible = possible || strings.HasPrefix(u, suffix[:i]+string(r))
		}
		if !possible {
			return r
		}
	}
	return rune(suffix[0])
}

// parseSize reads a number of bytes with an optional k, m or g (configuration manual 2.6).
func parseSize(text, what string) (int, error) {
	number, shift := text, 0
	if n := len(text); n > 0 {
		switch text[n-1] {
		case 'k', 'K':
			shift = 10
		case 'm', 'M':
			shift = 20
		case 'g', 'G':
			shift = 30
		}
		if shift > 0 {
			number = text[:n-1]
		}
	}
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil || n > math.MaxInt32>>shift {
		return 0, fmt.Errorf("'%s' expects a size below 2g such as 16384 or 16k, not '%s'", what, text)
	}
	return int(n) << shift, nil
}
