package kernel

import (
	"fmt"
	"regexp"
	"strings"

	"waggle/test/kernel/guest"
)

// result is what one test of a job came to.
type result struct {
	name    string
	verdict string // PASS, FAIL or SKIP
	output  []string
}

// results are what a test binary said that was run with -test.v.
type results struct {
	guest.Event // the one that ended it
	tests       []result
	// rest is what was printed outside of tests, such as a panic.
	rest    []string
	current []string
}

// verdictLine is how the testing package ends a test that is in no other one.
var verdictLine = regexp.MustCompile(`^--- (PASS|FAIL|SKIP): (\S+) \(`)

// line takes the next line of output. What comes before the end of a test is taken for its own. It returns the test that
// ends with this line, or nil.
func (r *results) line(s string) *result {
	s = strings.TrimRight(s, "\r\n")
	m := verdictLine.FindStringSubmatch(s)
	if strings.HasPrefix(s, "    --- ") && len(r.current) == 0 && len(r.tests) > 0 {
		last := &r.tests[len(r.tests)-1] // the verdicts of subtests follow that of their test
		last.output = append(last.output, s)
		return nil
	}
	if m == nil {
		r.current = append(r.current, s)
		return nil
	}
	r.tests = append(r.tests, result{name: m[2], verdict: m[1], output: append(r.current, s)})
	r.current = nil
	return &r.tests[len(r.tests)-1]
}

// end takes the event that says that the binary has ended.
func (r *results) end(e guest.Event) {
	r.Event = e
	r.rest, r.current = r.current, nil
}

// count tells how many tests had a verdict.
func (r *results) count(verdict string) (n int) {
	for _, t := range r.tests {
		if t.verdict == verdict {
			n++
		}
	}
	return n
}

// String counts, and names what has failed. What is not a test has an exit status.
func (r *results) String() string {
	if len(r.tests) == 0 && r.Ended {
		return fmt.Sprintf("exit status %d", r.Exit)
	}
	text := fmt.Sprintf("%d passed, %d failed, %d skipped", r.count("PASS"), r.count("FAIL"), r.count("SKIP"))
	for _, t := range r.tests {
		if t.verdict == "FAIL" {
			text += ", " + t.name
		}
	}
	return text
}
