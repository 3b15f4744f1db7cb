package report

import (
	"math"
	"slices"
	"testing"
)

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		name   string
		atMost bool
		ratio  Spread
		want   Verdict
	}{
		{"above", false, Spread{7, 1.1, 1.2, 1.3}, Met},
		{"equal", false, Spread{7, 0.9, 1, 1.3}, Met},
		{"below, but the range reaches it", false, Spread{7, 0.8, 0.9, 1}, Close},
		{"all below", false, Spread{7, 0.8, 0.9, 0.99}, Missed},
		{"at most: below", true, Spread{7, 0.8, 0.9, 1.3}, Met},
		{"at most: above, but the range reaches it", true, Spread{7, 1, 1.1, 1.2}, Close},
		{"at most: all above", true, Spread{7, 1.01, 1.1, 1.2}, Missed},
		{"nothing", false, Spread{0, math.NaN(), math.NaN(), math.NaN()}, Unknown},
	} {
		if got := (Target{AtMost: c.atMost, Value: 1}).judge(c.ratio); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for n, want := range map[int]string{0: "not measured", 6: "not measured, but too few rounds", 7: "not measured"} {
		if got := Unknown.text(n); got != want {
			t.Errorf("%d rounds: %q, want %q", n, got, want)
		}
	}
}

func twoByTwo() Suite {
	return Suite{
		Name: "s", Title: "A & B", Baseline: "b",
		Scenarios:  []Scenario{{Name: "ka", Title: "Kept"}, {Name: "big", Title: "Bodies", Unit: Megabytes}},
		Contenders: []Contender{{"b", "the base"}, {"waggle", "waggle"}},
		Targets: []Target{
			{Scenario: "ka", Metric: Rate, Subject: "waggle", Reference: "b", Value: 1.5},
			{Scenario: "big", Metric: SystemCPU, Subject: "waggle", Reference: "b", AtMost: true, Value: 0.5},
		},
	}
}

func TestRestrict(t *testing.T) {
	s := twoByTwo().Restrict([]string{"big"}, nil)
	if len(s.Scenarios) != 1 || len(s.Contenders) != 2 || len(s.Targets) != 1 || s.Targets[0].Scenario != "big" || s.Baseline != "b" {
		t.Errorf("one scenario left: %+v", s)
	}
	s = twoByTwo().Restrict(nil, []string{"waggle"})
	if len(s.Scenarios) != 2 || !slices.Equal(s.Contenders, []Contender{{"waggle", "waggle"}}) || len(s.Targets) != 0 || s.Baseline != "waggle" {
		t.Errorf("one contender left: %+v", s)
	}
	s = twoByTwo().Restrict(nil, nil)
	if len(s.Scenarios) != 2 || len(s.Contenders) != 2 || len(s.Targets) != 2 {
		t.Errorf("nothing restricted: %+v", s)
	}
}
