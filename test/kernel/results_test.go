package kernel

import (
	"bytes"
	"strings"
	"testing"

	"waggle/test/kernel/guest"
)

func TestResultsOfATestBinary(t *testing.T) {
	var r results
	for line := range strings.Lines(`=== RUN   TestGood
--- PASS: TestGood (0.01s)
=== RUN   TestBad
=== RUN   TestBad/part
    x_test.go:9: wrong
--- FAIL: TestBad (0.02s)
    --- FAIL: TestBad/part (0.02s)
=== RUN   TestLater
--- SKIP: TestLater (0.00s)
FAIL
`) {
		r.line(line)
	}
	r.end(guest.Event{Ended: true, Exit: 1})
	if r.count("PASS") != 1 || r.count("FAIL") != 1 || r.count("SKIP") != 1 {
		t.Errorf("%+v", r.tests)
	}
	if got, want := r.String(), "1 passed, 1 failed, 1 skipped, TestBad"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	bad := strings.Join(r.tests[1].output, "\n")
	if r.tests[1].name != "TestBad" || !strings.Contains(bad, "wrong") || !strings.HasSuffix(bad, "--- FAIL: TestBad/part (0.02s)") {
		t.Errorf("%q", bad)
	}
	if len(r.rest) != 1 || r.rest[0] != "FAIL" || r.Exit != 1 {
		t.Errorf("rest %q, exit %d", r.rest, r.Exit)
	}
}

func TestReportThatWasCutShort(t *testing.T) {
	for report, complete := range map[string]bool{
		`{"Kernel":"6.1"}` + "\n" + `{"Done":true}` + "\n": true,
		`{"Kernel":"6.1"}` + "\n":                          false,
		`{"Kernel":"6.1"}` + "\n" + `{"Jo`:                 false,
		"":                                                 false,
	} {
		done, err := readReport(strings.NewReader(report), func(guest.Event) {})
		if (done && err == nil) != complete {
			t.Errorf("%q: done %v, %v", report, done, err)
		}
	}
}

func TestArchiveEntriesAreAligned(t *testing.T) {
	var b bytes.Buffer
	a := archive{w: &b}
	if err := a.file("a", 0o755, []byte("12345")); err != nil {
		t.Fatal(err)
	}
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	const want = "070701" + "00000001" + "000081ed" + "00000000" + "00000000" + "00000001" + "00000000" + "00000005" +
		"00000000" + "00000000" + "00000000" + "00000000" + "00000002" + "00000000" + "a\x00" + "12345\x00\x00\x00" + "070701"
	if !strings.HasPrefix(b.String(), want) || b.Len()%4 != 0 {
		t.Errorf("%q", b.String())
	}
}
