package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func verdictOf(output string) []string {
	r := &reader{}
	for _, piece := range strings.SplitAfter(output, "e") { // as it may come
		_, _ = r.Write([]byte(piece))
	}
	r.end()
	return r.verdict()
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name, output string
		want         []string
	}{
		{"a test with a long log, and other packages after it", `ok  	waggle/pkg/a	1.0s
--- FAIL: TestBig (3.00s)
    time=1 level=INFO msg="a.go:12: no message of a test"
    big_test.go:10: no answer:
        got 1
        want 2
    time=2 level=INFO msg=stop
FAIL
FAIL	waggle/pkg/b	3.1s
ok  	waggle/pkg/c	1.0s
FAIL
`, []string{"failed: TestBig", "    big_test.go:10: no answer:", "        got 1", "        want 2", `    time=2 level=INFO msg=stop`}},
		{"only the subtest that failed", `--- FAIL: TestRules (6.03s)
    --- FAIL: TestRules/deny (0.95s)
        rules_test.go:176: got 200
    --- FAIL: TestRules/allow (0.95s)
        rules_test.go:177: got 403
FAIL
FAIL	waggle/pkg/proxy	6.1s
`, []string{"failed: TestRules/deny", "        rules_test.go:176: got 200", "failed: TestRules/allow", "        rules_test.go:177: got 403"}},
		{"verbose, which names a test after what it said", `=== RUN   TestGood
    good_test.go:1: all is well
--- PASS: TestGood (0.00s)
=== RUN   TestBad
    bad_test.go:2: broken
--- FAIL: TestBad (0.00s)
=== RUN   TestBetter
    better_test.go:1: all is well
--- PASS: TestBetter (0.00s)
FAIL
FAIL	waggle/pkg/a	0.1s
`, []string{"failed: TestBad", "    bad_test.go:2: broken"}},
		{"it is not Go", `# waggle/pkg/a
pkg/a/a.go:3:1: syntax error
FAIL	waggle/pkg/a [build failed]
`, []string{"failed: waggle/pkg/a: build failed", "pkg/a/a.go:3:1: syntax error"}},
		{"the program dies", `panic: test timed out after 1s
	running tests:
		TestSlow (1s)

goroutine 7 [running]:
FAIL	waggle/pkg/a	1.0s
`, []string{"failed: waggle/pkg/a", "panic: test timed out after 1s", "	running tests:", "		TestSlow (1s)", "goroutine 7 [running]:"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := verdictOf(c.output)
			if len(got) < 2 || !slices.Equal(got[2:], c.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
		})
	}
}

// However many tests fail and whatever they say, the verdict is a screen, and the first and the last message of a test are in it.
func TestVerdictIsShort(t *testing.T) {
	var output strings.Builder
	for i := range 50 {
		fmt.Fprintf(&output, "--- FAIL: Test%d (0s)\n", i)
		for j := range 2 * mostKept {
			fmt.Fprintf(&output, "    a_test.go:%d: no\n%s\n", j+1, strings.Repeat("x", 3*longestLine))
		}
	}
	got := verdictOf(output.String())
	if len(got) > mostLines+1 || !strings.HasPrefix(got[len(got)-1], "… and ") {
		t.Errorf("%d lines, the last: %q", len(got), got[len(got)-1])
	}
	for _, line := range got {
		if len(line) > longestLine {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	one := verdictOf(output.String()[:strings.Index(output.String(), "--- FAIL: Test1 ")])
	for _, want := range []string{"    a_test.go:1: no", fmt.Sprintf("    a_test.go:%d: no", 2*mostKept)} {
		if !slices.Contains(one, want) {
			t.Errorf("%q is not in %q", want, one)
		}
	}
}

// The exit status is the command's, and the verdict stands behind its output.
func TestRun(t *testing.T) {
	const shell = "/bin/sh"
	var out strings.Builder
	if code := run([]string{shell, "-c", "echo fine"}, &out); code != 0 || out.String() != "fine\n" {
		t.Errorf("exit status %d and %q", code, &out)
	}
	out.Reset()
	code := run([]string{shell, "-c", `printf -- '--- FAIL: TestX (0s)\n    x_test.go:1: no\nFAIL\n'; echo FAIL >&2; exit 3`}, &out)
	if code != 3 || !strings.HasSuffix(out.String(), "(1):\nfailed: TestX\n    x_test.go:1: no\n") {
		t.Errorf("exit status %d and %q", code, &out)
	}
	if code := run([]string{"/nowhere"}, &out); code != 1 {
		t.Errorf("exit status %d of what is not there", code)
	}
}
