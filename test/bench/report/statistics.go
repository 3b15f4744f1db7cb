package report

import (
	"math"
	"slices"
)

// Spread is where the middle half of some values lies. All are NaN for no values.
type Spread struct {
	N              int
	Q1, Median, Q3 float64
}

// SpreadOf summarises values, leaving out what is not a number. Quartiles lie between neighbours in proportion
// (R's type 7, which spreadsheets use too).
func SpreadOf(values []float64) Spread {
	sorted := make([]float64, 0, len(values))
	for _, v := range values {
		if !math.IsNaN(v) && !math.IsInf(v, 0) {
			sorted = append(sorted, v)
		}
	}
	slices.Sort(sorted)
	return Spread{N: len(sorted), Q1: quantile(sorted, 0.25), Median: quantile(sorted, 0.5), Q3: quantile(sorted, 0.75)}
}

func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	below := int(at)
	if below == len(sorted)-1 {
		return sorted[below]
	}
	return sorted[below] + (at-float64(below))*(sorted[below+1]-sorted[below])
}

// Data is what was measured in one suite.
type Data []Sample

func (d Data) find(scenario, contender string, round int) (Sample, bool) {
	for _, s := range d {
		if s.Scenario == scenario && s.Contender == contender && s.Round == round {
			return s, true
		}
	}
	return Sample{}, false
}

func (d Data) of(scenario, contender string) []Sample {
	var found []Sample
	for _, s := range d {
		if s.Scenario == scenario && s.Contender == contender {
			found = append(found, s)
		}
	}
	return found
}

// spread summarises a metric of a contender over the rounds.
func (d Data) spread(sc Scenario, contender string, m Metric) Spread {
	var values []float64
	for _, s := range d.of(sc.Name, contender) {
		values = append(values, m.of(s, sc.Unit))
	}
	return SpreadOf(values)
}

// ratio summarises subject/reference, taken within each round in which both were measured: the machine may be
// slower or faster in the next.
func (d Data) ratio(sc Scenario, m Metric, subject, reference string) Spread {
	var values []float64
	for _, s := range d.of(sc.Name, subject) {
		if r, ok := d.find(sc.Name, reference, s.Round); ok {
			values = append(values, divide(m.of(s, sc.Unit), m.of(r, sc.Unit)))
		}
	}
	return SpreadOf(values)
}
