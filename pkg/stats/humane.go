package stats

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// grouped writes a number with narrow spaces between the thousands.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return sign + strings.Join(append([]string{s}, parts...), "\u202f")
}

// bytesText writes a volume with three digits and a binary unit.
func bytesText(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10)
	}
	v, units := float64(n), "KMGTPE"
	for i := 0; ; i++ {
		v /= 1024
		if v < 999.5 || i == len(units)-1 {
			precision := 2
			switch {
			case v >= 99.95:
				precision = 0
			case v >= 9.995:
				precision = 1
			}
			return strconv.FormatFloat(v, 'f', precision, 64) + "\u202f" + units[i:i+1] + "i"
		}
	}
}

// agoText writes a time with its two largest units.
func agoText(d time.Duration) string {
	sec := int64(d / time.Second)
	switch {
	case sec < 0:
		return "0s"
	case sec < 60:
		return fmt.Sprintf("%ds", sec)
	case sec < 3600:
		return fmt.Sprintf("%dm%02ds", sec/60, sec%60)
	case sec < 86400:
		return fmt.Sprintf("%dh%02dm", sec/3600, sec/60%60)
	default:
		return fmt.Sprintf("%dd%02dh", sec/86400, sec/3600%24)
	}
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
