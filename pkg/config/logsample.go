package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxSample bounds the size of a sample.
const maxSample = 1 << 30

// parseSample reads <range>[,<range>]…:<size>; a range is a number or two with a dash between them.
func parseSample(text string) (LogSample, error) {
	var s LogSample
	ranges, size, ok := strings.Cut(text, ":")
	if !ok || size == "" {
		return s, fmt.Errorf("expects ranges and a size, such as 1,3-5:10, not '%s'", text)
	}
	for word := range strings.SplitSeq(ranges, ",") {
		low, high, two := strings.Cut(word, "-")
		if !two {
			high = low
		}
		a, errA := strconv.ParseUint(low, 10, 31) // no sign
		b, errB := strconv.ParseUint(high, 10, 31)
		if errA != nil || errB != nil || a < 1 || b < a || b > maxSample {
			return s, fmt.Errorf("wrong range '%s'", word)
		}
		s.Ranges = append(s.Ranges, [2]int{int(a), int(b)})
	}
	slices.SortFunc(s.Ranges, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	for i, r := range s.Ranges[1:] {
		if r[0] <= s.Ranges[i][1] {
			return s, errors.New("ranges overlap")
		}
	}
	last := s.Ranges[len(s.Ranges)-1][1]
	unsigned, err := strconv.ParseUint(size, 10, 31)
	n := int(unsigned)
	if err != nil || n < 1 || n > maxSample {
		return s, fmt.Errorf("wrong size '%s'", size)
	}
	if n < last {
		return s, fmt.Errorf("the size %d is less than %d, which a range reaches", n, last)
	}
	s.Size = n
	return s, nil
}
