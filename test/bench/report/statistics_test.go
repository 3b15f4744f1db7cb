package report

import (
	"math"
	"testing"
)

func TestSpreadOf(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		name   string
		values []float64
		want   Spread
	}{
		{"nothing", nil, Spread{0, nan, nan, nan}},
		{"one", []float64{5}, Spread{1, 5, 5, 5}},
		{"two", []float64{3, 1}, Spread{2, 1.5, 2, 2.5}},
		{"odd", []float64{9, 1, 5, 3, 7}, Spread{5, 3, 5, 7}},
		{"even", []float64{4, 1, 3, 2}, Spread{4, 1.75, 2.5, 3.25}},
		{"seven", []float64{1, 2, 3, 4, 5, 6, 100}, Spread{7, 2.5, 4, 5.5}},
		{"what is not a number does not count", []float64{nan, 2, inf, 4, -inf}, Spread{2, 2.5, 3, 3.5}},
	} {
		got := SpreadOf(c.values)
		if got.N != c.want.N || !same(got.Q1, c.want.Q1) || !same(got.Median, c.want.Median) || !same(got.Q3, c.want.Q3) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestSpreadOfLeavesItsInputAlone(t *testing.T) {
	values := []float64{3, 1, 2}
	SpreadOf(values)
	if values[0] != 3 || values[1] != 1 || values[2] != 2 {
		t.Errorf("now %v", values)
	}
}

func same(a, b float64) bool { return math.IsNaN(a) && math.IsNaN(b) || math.Abs(a-b) < 1e-9 }

// requests is a sample of some requests in one second.
func requests(scenario, contender string, round int, n int64) Sample {
	return Sample{Scenario: scenario, Contender: contender, Round: round, Seconds: 1, Requests: n}
}

// TestRatiosAreTakenWithinRounds: the machine halves its speed between rounds, which medians of each contender
// alone would mix up.
func TestRatiosAreTakenWithinRounds(t *testing.T) {
	sc := Scenario{Name: "ka"}
	d := Data{
		requests("ka", "b", 1, 1000), requests("ka", "a", 1, 1500),
		requests("ka", "b", 2, 500), requests("ka", "a", 2, 750),
		requests("ka", "b", 3, 100), // a failed here
		requests("ka", "a", 4, 9000),
		requests("other", "a", 3, 7000),
	}
	if got, want := d.ratio(sc, Rate, "a", "b"), (Spread{2, 1.5, 1.5, 1.5}); got != want {
		t.Errorf("ratio %+v, want %+v", got, want)
	}
	if got := d.ratio(sc, Rate, "a", "nobody"); got.N != 0 {
		t.Errorf("ratio to nobody %+v", got)
	}
	if got := d.rounds(); got != 4 {
		t.Errorf("%d rounds", got)
	}
}

func TestMetrics(t *testing.T) {
	s := Sample{Seconds: 2, Requests: 1000, Bytes: 50e6, SystemCPU: 4, OwnCPU: 1, OwnMemory: 7 << 20, P50: 11, P99: 99}
	for _, c := range []struct {
		metric Metric
		unit   Unit
		want   float64
	}{
		{Rate, Requests, 500}, {Rate, Megabytes, 25},
		{SystemCPU, Requests, 4000}, {SystemCPU, Megabytes, 80_000},
		{OwnCPU, Requests, 1000}, {OwnCPU, Megabytes, 20_000},
		{P50, Requests, 11}, {P99, Megabytes, 99}, {Memory, Requests, 7 << 20},
		{"unheard of", Requests, math.NaN()},
	} {
		if got := c.metric.of(s, c.unit); !same(got, c.want) {
			t.Errorf("%s per %s is %v, want %v", c.metric, c.unit, got, c.want)
		}
	}
	if got := SystemCPU.of(Sample{Seconds: 1, SystemCPU: 1}, Requests); !math.IsNaN(got) {
		t.Errorf("CPU per request without a request is %v", got)
	}
}
