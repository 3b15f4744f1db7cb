package main

import (
	"fmt"
	"io"
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
	for _, e := range excuses {
		if !used[e] {
			return fmt.Errorf("%s: %q is taken, or is not there: its excuse is for nothing", e.file, e.text)
		}
	}
	if missing := total.all - total.taken - total.excused; missing > 0 {
		return fmt.Errorf("%d outcomes are missing", missing)
	}
	return nil
}

func (o outcome) line(why *excuse) string {
	text := fmt.Sprintf("bpf/%s:%d: %s: %s: never %s", o.decision.File, o.decision.Line, o.decision.Function, strings.Join(strings.Fields(o.decision.Text), " "), o.result)
	if why != nil {
		text += ": " + why.reason
	}
	return text
}
