package report

import (
	"fmt"
	"io"
)

// style is how a report is written: for a terminal or for a document.
type style struct {
	heading func(w io.Writer, text string)
	line    func(w io.Writer, text string)
	table   func(t *Table, w io.Writer)
}

func plain() style {
	return style{
		heading: func(w io.Writer, text string) { fmt.Fprintf(w, "\n%s\n", text) },
		line:    func(w io.Writer, text string) { fmt.Fprintln(w, text) },
		table:   (*Table).Text,
	}
}

func markdown() style {
	return style{
		heading: func(w io.Writer, text string) { fmt.Fprintf(w, "\n### %s\n\n", text) },
		line:    func(w io.Writer, text string) { fmt.Fprintf(w, "%s\n", text) },
		table:   (*Table).Markdown,
	}
}

// Text writes a suite's results for a terminal.
func Text(w io.Writer, s Suite, r Results) { plain().write(w, s, r) }

// Markdown writes a suite's results for a document; chart is where its SVG is, relative to the document.
func Markdown(w io.Writer, s Suite, r Results, chart string) {
	Origin(w, &r.Run)
	fmt.Fprintf(w, "\n![%s](%s)\n", s.Title, chart)
	markdown().write(w, s, r)
}

// Origin writes for a document how and where something was measured.
func Origin(w io.Writer, r *Run) {
	fmt.Fprintf(w, "Made by `%s` on %s.\n\n", r.Command, r.Started.Format("2 January 2006"))
	fmt.Fprintf(w, "- %s\n", r.Machine)
	for _, v := range r.Versions {
		fmt.Fprintf(w, "- %s\n", v)
	}
}

func (st style) write(w io.Writer, s Suite, r Results) {
	for _, sc := range s.Scenarios {
		st.heading(w, sc.Title)
		st.table(s.compare(sc, r.Samples), w)
	}
	if len(s.Targets) > 0 {
		st.heading(w, "Targets")
		st.table(s.targets(r.Samples), w)
	}
	st.heading(w, "How far to trust this")
	for _, line := range s.caveats(r) {
		st.line(w, "- "+line)
	}
}

// compare is the table of a scenario.
func (s Suite) compare(sc Scenario, d Data) *Table {
	unit := sc.Unit.String()
	t := &Table{Header: []string{"", sc.Unit.perSecond(), "ratio", "system µs/" + unit, "ratio", "own µs/" + unit, "p50 ms", "p99 ms", "peak MiB", "errors"}}
	for _, c := range s.Contenders {
		if len(d.of(sc.Name, c.Name)) == 0 {
			continue
		}
		t.Add(c.Title,
			d.spread(sc, c.Name, Rate).text(), d.ratio(sc, Rate, c.Name, s.Baseline).times(),
			d.spread(sc, c.Name, SystemCPU).text(), d.ratio(sc, SystemCPU, c.Name, s.Baseline).times(),
			number(d.spread(sc, c.Name, OwnCPU).Median),
			milliseconds(d.spread(sc, c.Name, P50).Median), milliseconds(d.spread(sc, c.Name, P99).Median),
			mebibytes(d.spread(sc, c.Name, Memory).Median),
			thousands(d.errors(sc.Name, c.Name)))
	}
	return t
}

func (d Data) errors(scenario, contender string) (n int64) {
	for _, s := range d.of(scenario, contender) {
		n += s.Errors
	}
	return n
}

// targets is the table of what is aimed at.
func (s Suite) targets(d Data) *Table {
	t := &Table{Header: []string{"", "measured", "rounds", "target", "verdict"}}
	for _, target := range s.Targets {
		sc, ok := s.scenario(target.Scenario)
		if !ok {
			continue
		}
		ratio := d.ratio(sc, target.Metric, target.Subject, target.Reference)
		bound := "≥"
		if target.AtMost {
			bound = "≤"
		}
		t.Add(fmt.Sprintf("%s, %s: %s to %s", sc.Title, target.Metric, s.title(target.Subject), s.title(target.Reference)),
			ratio.times(), fmt.Sprint(ratio.N), fmt.Sprintf("%s %.2f", bound, target.Value), target.judge(ratio).text(ratio.N))
	}
	return t
}
