package report

// Suite says what a benchmark compares, in the order in which it is shown.
type Suite struct {
	Name  string
	Title string
	// Baseline is the contender that the others are set in proportion to.
	Baseline   string
	Scenarios  []Scenario
	Contenders []Contender
	Targets    []Target
}

// Scenario is a kind of load.
type Scenario struct {
	Name  string
	Title string
	Unit  Unit
}

// Contender is something that is measured.
type Contender struct {
	Name  string
	Title string
}

// Target is a ratio between two contenders that is aimed at.
type Target struct {
	Scenario  string
	Metric    Metric
	Subject   string
	Reference string
	// AtMost makes Value an upper bound; otherwise it is a lower one.
	AtMost bool
	Value  float64
}

// Verdict is how a target stands.
type Verdict string

const (
	// Unknown means that no round measured both contenders.
	Unknown Verdict = "not measured"
	// Met means that the median is on the right side.
	Met Verdict = "met"
	// Close means that the median is on the wrong side, but not all of the middle half is.
	Close Verdict = "within the spread"
	// Missed means that the whole middle half is on the wrong side.
	Missed Verdict = "MISSED"
)

// enough is how many rounds a verdict needs.
const enough = 7

// text is the verdict as shown.
func (v Verdict) text(rounds int) string {
	if rounds > 0 && rounds < enough {
		return string(v) + ", but too few rounds"
	}
	return string(v)
}

// judge compares the ratios of the rounds with the target.
func (t Target) judge(ratio Spread) Verdict {
	median, best := ratio.Median, ratio.Q3
	value := t.Value
	if t.AtMost { // the same seen in a mirror
		median, best, value = -ratio.Median, -ratio.Q1, -t.Value
	}
	switch {
	case ratio.N == 0:
		return Unknown
	case median >= value:
		return Met
	case best >= value:
		return Close
	}
	return Missed
}

func (s Suite) scenario(name string) (Scenario, bool) {
	for _, sc := range s.Scenarios {
		if sc.Name == name {
			return sc, true
		}
	}
	return Scenario{}, false
}

// title is how a contender is called in prose.
func (s Suite) title(contender string) string {
	for _, c := range s.Contenders {
		if c.Name == contender {
			return c.Title
		}
	}
	return contender
}

// Restrict leaves only the named scenarios and contenders, all where the list is empty, and the targets between
// those. Without the baseline the first contender takes its place.
func (s Suite) Restrict(scenarios, contenders []string) Suite {
	s.Scenarios = keep(s.Scenarios, scenarios, func(v Scenario) string { return v.Name })
	s.Contenders = keep(s.Contenders, contenders, func(v Contender) string { return v.Name })
	scenario, contender := map[string]bool{}, map[string]bool{}
	for _, v := range s.Scenarios {
		scenario[v.Name] = true
	}
	for _, v := range s.Contenders {
		contender[v.Name] = true
	}
	var targets []Target
	for _, t := range s.Targets {
		if scenario[t.Scenario] && contender[t.Subject] && contender[t.Reference] {
			targets = append(targets, t)
		}
	}
	s.Targets = targets
	if len(s.Contenders) > 0 && !contender[s.Baseline] {
		s.Baseline = s.Contenders[0].Name
	}
	return s
}

func keep[T any](all []T, names []string, name func(T) string) []T {
	if len(names) == 0 {
		return all
	}
	wanted := map[string]bool{}
	for _, n := range names {
		wanted[n] = true
	}
	var kept []T
	for _, v := range all {
		if wanted[name(v)] {
			kept = append(kept, v)
		}
	}
	return kept
}
