package report

import "fmt"

// loud is the share of the CPUs that other programs may use before the numbers are called doubtful.
const loud = 0.05

// caveats are what a reader must know before quoting a number.
func (s Suite) caveats(r Results) []string {
	d := r.Samples
	lines := []string{
		fmt.Sprintf("Medians over rounds, %d in all, with the range between the first and third quartile. Ratios are to %q and are taken within each round.", d.rounds(), s.title(s.Baseline)),
		"A target is missed when the whole range between the quartiles is on the wrong side of it.",
	}
	lines = append(lines, d.background())
	for _, c := range s.Contenders {
		if share, ok := d.kernelShare(c.Name); ok {
			lines = append(lines, fmt.Sprintf("Of the connections to %q the kernel path carried %.2f %%, in the worst round.", c.Title, 100*share))
		}
	}
	for _, f := range r.Failures {
		lines = append(lines, fmt.Sprintf("Round %d without %q: %s", f.Round, s.title(f.Contender), f.Error))
	}
	return lines
}

func (d Data) rounds() int {
	seen := map[int]bool{}
	for _, s := range d {
		seen[s.Round] = true
	}
	return len(seen)
}

// background says whether the machine was quiet.
func (d Data) background() string {
	var shares, stolen []float64
	for _, s := range d {
		shares = append(shares, s.Background)
		stolen = append(stolen, divide(s.Stolen, s.Seconds))
	}
	busy := SpreadOf(shares)
	text := fmt.Sprintf("Just before the loads %.1f %% of the CPUs were busy (median; third quartile %.1f %%); during them the hypervisor took %.2f CPUs.",
		100*busy.Median, 100*busy.Q3, SpreadOf(stolen).Median)
	if busy.Q3 > loud {
		text += " **The machine was not quiet: do not quote these numbers.**"
	}
	return text
}

// kernelShare is the least part of its connections that a contender's kernel path carried in a round.
func (d Data) kernelShare(contender string) (least float64, ok bool) {
	for _, s := range d {
		if s.Contender == contender && s.KernelShare != nil {
			if !ok || *s.KernelShare < least {
				least = *s.KernelShare
			}
			ok = true
		}
	}
	return least, ok
}
