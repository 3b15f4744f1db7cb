package report

import "fmt"

// loud is the share of the CPUs above which others were at work, and the numbers are doubtful.
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

// background says whether the machine was quiet. The mean, since each share is from a few ticks of the clock.
func (d Data) background() string {
	var busy, stolen, seconds float64
	for _, s := range d {
		busy += s.Background
		stolen += s.Stolen
		seconds += s.Seconds
	}
	busy = divide(busy, float64(len(d)))
	text := fmt.Sprintf("Before the loads %.1f %% of the CPUs were busy on average; during them the hypervisor took %.2f CPUs.",
		100*busy, divide(stolen, seconds))
	if busy > loud {
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
