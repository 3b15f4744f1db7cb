package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"waggle/test/bench/report"
)

func suites() []suite { return []suite{l4(), l7(defaultIdle), tlsSuite()} }

// TestSuitesAreSound: names are unique, and targets and baselines are about what there is.
func TestSuitesAreSound(t *testing.T) {
	for _, s := range suites() {
		contenders, scenarios := names(s.Contenders), names(s.Scenarios)
		for _, list := range [][]string{contenders, scenarios} {
			sorted := slices.Clone(list)
			slices.Sort(sorted)
			if len(slices.Compact(sorted)) != len(list) || len(list) == 0 {
				t.Errorf("%s: names %q", s.Name, list)
			}
		}
		if !slices.Contains(contenders, s.Baseline) {
			t.Errorf("%s: no contender %q", s.Name, s.Baseline)
		}
		if len(s.Targets) == 0 && s.Name != "tls" {
			t.Errorf("%s aims at nothing", s.Name)
		}
		for _, target := range s.Targets {
			if !slices.Contains(scenarios, target.Scenario) || !slices.Contains(contenders, target.Subject) || !slices.Contains(contenders, target.Reference) {
				t.Errorf("%s: target %+v is about what there is not", s.Name, target)
			}
		}
	}
}

func TestOrderIsReversedEveryOtherRound(t *testing.T) {
	list := l4().contenders
	forwards := names(titles(order(list, 1)))
	backwards := names(titles(order(list, 2)))
	if !slices.Equal(forwards, names(titles(list))) || !slices.Equal(forwards, names(titles(order(list, 3)))) {
		t.Errorf("odd rounds go %q", forwards)
	}
	slices.Reverse(backwards)
	if !slices.Equal(forwards, backwards) {
		t.Errorf("even rounds are not the reverse of %q", forwards)
	}
}

func titles(list []contender) (found []report.Contender) {
	for _, c := range list {
		found = append(found, c.Contender)
	}
	return found
}

func TestRestrict(t *testing.T) {
	s, err := l4().restrict(options{contenders: "waggle-kernel,plain", scenarios: "close"})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(titles(s.contenders)); !slices.Equal(got, []string{"plain", "waggle-kernel"}) || !slices.Equal(got, names(s.Contenders)) {
		t.Errorf("contenders %q", got)
	}
	if len(s.scenarios) != 1 || !s.scenarios[0].close || len(s.Targets) != 1 {
		t.Errorf("scenarios %+v, targets %+v", s.scenarios, s.Targets)
	}
	for _, o := range []options{{contenders: "plain,plane"}, {scenarios: "kept"}, {contenders: ","}} {
		if _, err := l4().restrict(o); err == nil || !strings.Contains(err.Error(), "unknown") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"", "say what to measure"},
		{"l5", `unknown word "l5"`},
		{"l4 -rounds 0", "at least 1"},
		{"l4 -seconds 0", "at least 1"},
		{"l7 -idle 1000000", "at most"},
		{"l4 now", `unexpected "now"`},
		{"packets now", `unexpected "now"`},
		{"l4 -from /no/such/file", "no such file"},
		{"packets -from /no/such/file", "no such file"},
		{"l7 -contenders squid", `unknown "squid"`},
		{"l4 -verbose", "not defined"},
		{"l7 -also mine", "NAME=PROGRAM"},
		{"l7 -also waggle=/bin/true", "there is one already"},
	} {
		err := run(t.Context(), strings.Fields(c.args), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("bench %s: %v, want %q", c.args, err, c.want)
		}
	}
	if err := run(t.Context(), []string{"l7", "-h"}, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}

func TestAbsent(t *testing.T) {
	s, err := l4().restrict(options{contenders: "plain,nginx"})
	if err != nil {
		t.Fatal(err)
	}
	r := report.Results{Samples: report.Data{{Contender: "plain"}}}
	if err := absent(s, r); err == nil || err.Error() != "nginx stream, 2 workers was never measured" {
		t.Errorf("got %v", err)
	}
	r.Samples = append(r.Samples, report.Sample{Contender: "nginx"})
	if err := absent(s, r); err != nil {
		t.Errorf("got %v", err)
	}
}

// TestAFailureIsTold, beside what was measured before it.
func TestAFailureIsTold(t *testing.T) {
	var lines []report.Line
	r := runner{suite: l4(), rounds: 1, progress: io.Discard, emit: func(l report.Line) error { lines = append(lines, l); return nil }}
	c := r.suite.contenders[0]
	if err := r.tell(c, 1, 4, []report.Sample{{Scenario: "big", Seconds: 1}}, fmt.Errorf("close: %w", context.DeadlineExceeded)); err != nil {
		t.Fatal(err)
	}
	if len(lines) != 2 || lines[0].Sample == nil || lines[1].Failure == nil {
		t.Fatalf("got %+v", lines)
	}
	if s := lines[0].Sample; s.Suite != "l4" || s.Contender != c.Name || s.Round != 1 || s.Position != 4 {
		t.Errorf("sample %+v", s)
	}
	if f := lines[1].Failure; f.Contender != c.Name || f.Round != 1 || !strings.Contains(f.Error, "close: ") {
		t.Errorf("failure %+v", f)
	}
}
