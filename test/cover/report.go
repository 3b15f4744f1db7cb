package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// tally counts outcomes.
type tally struct{ all, taken, excused int }

func (t *tally) add(taken, excused bool) {
	t.all++
	switch {
	case taken:
		t.taken++
	case excused:
		t.excused++
	}
}

func (t tally) String() string {
	return fmt.Sprintf("%4d of %4d outcomes taken (%5.1f %%), %3d excused, %3d missing", t.taken, t.all, 100*float64(t.taken)/float64(t.all), t.excused, t.all-t.taken-t.excused)
}

// report prints what was taken of each file, and each outcome that was not; whole says that all tests were run, so that it is an error if
// one is missing, or excused for nothing.
func report(all []outcome, taken []byte, whole bool, out io.Writer) error {
	var total tally
	files := make(map[string]*tally)
	var names []string
	used := make(map[excuse]bool)
	for i, o := range all {
		name := o.decision.File
		if files[name] == nil {
			files[name] = new(tally)
			names = append(names, name)
		}
		why := excuseOf(o)
		if why != nil && taken[i] == 0 {
			used[*why] = true
		}
		files[name].add(taken[i] != 0, why != nil)
		total.add(taken[i] != 0, why != nil)
		if taken[i] == 0 {
			fmt.Fprintln(out, o.line(why))
		}
	}
	for _, name := range names {
		fmt.Fprintf(out, "%-12s %v\n", name, *files[name])
	}
	fmt.Fprintf(out, "%-12s %v\n", "all", total)
	if !whole {
		return nil
	}
	var wrong []error
	for _, e := range excuses {
		// Where two CPUs have met by luck the next run may want the excuse.
		if !used[e] && (e.reason != anotherCPU || !slices.ContainsFunc(all, func(o outcome) bool { return e.isOf(o) })) {
			wrong = append(wrong, fmt.Errorf("%s: %s: %q is %s, or is not there: its excuse is for nothing", e.file, e.function, e.text, e.result))
		}
	}
	if missing := total.all - total.taken - total.excused; missing > 0 {
		wrong = append(wrong, fmt.Errorf("%d outcomes are missing", missing))
	}
	return errors.Join(wrong...)
}

func (o outcome) line(why *excuse) string {
	text := fmt.Sprintf("bpf/%s:%d: %s: %s: never %s", o.decision.File, o.decision.Line, o.decision.Function, strings.Join(strings.Fields(o.decision.Text), " "), o.result)
	if why != nil {
		text += ": " + why.reason
	}
	return text
}
