package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What is ignored may still be wrong: HAProxy refuses the file then, and so do we, so that nobody is told that a mistake
// is of no consequence. Rows of settings that are ignored name the kind of their value as in `tune.maxaccept=-1..`:
//
//	n          a whole number, 0 to 2147483647
//	low..high  a whole number within bounds; without the second, to 2147483647
//	time       with a unit, of milliseconds unless said
//	seconds    the same, of seconds unless said
//	size       of bytes, with k, m or g
//	a|b        one of some words
//	none       there is no argument
//
// and the sets of threads that bind lines have. Any other word describes an argument that may be any text.

// checkIgnored says what is wrong with the value of a setting that is ignored. what names the setting in errors.
func checkIgnored(what, kind, value string) error {
	switch kind {
	case "n":
		return checkRange(what, "0..", value)
	case "time":
		_, err := parseTime(value, what, time.Millisecond)
		return err
	case "seconds":
		_, err := parseTime(value, what, time.Second)
		return err
	case "size":
		_, err := parseSize(value, what)
		return err
	case "threads":
		return checkThreads(what, value)
	case "shards":
		if value == "by-thread" || value == "by-group" {
			return nil
		}
		if checkRange(what, "1..64", value) != nil {
			return fmt.Errorf("'%s' expects 'by-thread', 'by-group' or an integer between 1 and 64, not '%s'", what, value)
		}
		return nil
	}
	if words := strings.Split(kind, "|"); len(words) > 1 && !slices.Contains(words, value) {
		return fmt.Errorf("'%s' expects one of %s, not '%s'", what, quoteList(words), value)
	}
	if strings.Contains(kind, "..") {
		return checkRange(what, kind, value)
	}
	return nil
}

// checkRange looks whether a value is a number within `low..high`.
func checkRange(what, bounds, value string) error {
	from, to, _ := strings.Cut(bounds, "..")
	low, _ := strconv.Atoi(from)
	high := math.MaxInt32
	if to != "" {
		high, _ = strconv.Atoi(to)
	}
	if n, err := strconv.Atoi(value); err != nil || n < low || n > high {
		return fmt.Errorf("'%s' expects an integer between %d and %d, not '%s'", what, low, high, value)
	}
	return nil
}

// The most threads that HAProxy 3.2 has, in a group and in all.
const (
	maxGroupThreads = 64
	maxThreads      = 1024
)

// checkThreads looks at `[<group>/]<set>[,…]`, where a set is `all`, `odd`, `even`, a number or a range (the manual, `thread`
// of bind lines; `process` has the same form).
func checkThreads(what, value string) error {
	for part := range strings.SplitSeq(value, ",") {
		group, set, grouped := strings.Cut(part, "/")
		most := maxThreads
		if grouped {
			most = maxGroupThreads
		} else {
			group, set = "all", part
		}
		if !isThreadSet(group, maxGroupThreads) || !isThreadSet(set, most) {
			return fmt.Errorf("'%s' expects 'all', 'odd', 'even', or numbers and ranges from 1 to %d, not '%s'", what, most, value)
		}
	}
	return nil
}

// isThreadSet says whether text is `all`, `odd`, `even`, a number from 1 on, or a range of them, whose end may be left out.
func isThreadSet(text string, most int) bool {
	if text == "all" || text == "odd" || text == "even" {
		return true
	}
	low, high, ranged := strings.Cut(text, "-")
	if !ranged || high == "" {
		high = low
	}
	return isOrdinal(low, most) && isOrdinal(high, most)
}

func isOrdinal(text string, most int) bool {
	n, err := strconv.ParseUint(text, 10, 31)
	return err == nil && n >= 1 && n <= uint64(most)
}

// ignoredValue looks at the argument of a directive that is ignored.
func (s *statement) ignoredValue() {
	kind := strings.Trim(s.d.args, "<>")
	value, ok := s.one("a value")
	if !ok || s.off || s.reset {
		return
	}
	if err := checkIgnored(s.name(), kind, value); err != nil {
		s.errorf(0, "%s", err)
	}
}

// noValue is for directives that are ignored and have no arguments.
func (s *statement) noValue() { s.atMost(0) }

// cpuMap looks at `cpu-map [auto:]<threads> <cpu>[-<cpu>][,…] …`.
func (s *statement) cpuMap() {
	if s.text(0) == "" || len(s.args) < 2 {
		s.errorf(-1, "'cpu-map' expects threads and CPUs")
		return
	}
	if err := checkThreads("cpu-map", strings.TrimPrefix(s.text(0), "auto:")); err != nil {
		s.errorf(0, "%s", err)
		return
	}
	for i := 1; i < len(s.args); i++ {
		for part := range strings.SplitSeq(s.text(i), ",") {
			low, high, ranged := strings.Cut(part, "-")
			if !ranged {
				high = low
			}
			if !isCPU(low) || !isCPU(high) {
				s.errorf(i, "'cpu-map' expects numbers and ranges of CPUs from 0 to 1023, not '%s'", part)
				return
			}
		}
	}
}

func isCPU(text string) bool {
	n, err := strconv.ParseUint(text, 10, 31)
	return err == nil && n < 1024
}
