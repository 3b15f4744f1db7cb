package report

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Packets is one result of a Go benchmark that reports what a packet costs.
type Packets struct {
	Case  string  `json:"case"` // the benchmark without "Benchmark"
	Unit  string  `json:"unit"` // such as ns/packet
	Value float64 `json:"value"`
}

// ParseBenchmarks reads the output of go test -bench. Values of 0 are left out: that is how a benchmark hides the
// time of the loop around what it measures. The CPU count at the end of a name goes if every name has it.
func ParseBenchmarks(output string) []Packets {
	var found []Packets
	for line := range strings.Lines(output) {
		fields := strings.Fields(line)
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		if _, err := strconv.Atoi(fields[1]); err != nil {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err == nil && value != 0 {
				found = append(found, Packets{Case: strings.TrimPrefix(fields[0], "Benchmark"), Unit: fields[i+1], Value: value})
			}
		}
	}
	trimProcs(found)
	return found
}

// trimProcs takes the "-2" off names like "SYN/servers=3-2". go test adds it to all names or, with one CPU, to none.
func trimProcs(list []Packets) {
	suffix := ""
	for i, p := range list {
		at := strings.LastIndexByte(p.Case, '-')
		if at < 0 || strings.Trim(p.Case[at+1:], "0123456789") != "" || (i > 0 && p.Case[at:] != suffix) {
			return
		}
		suffix = p.Case[at:]
	}
	for i := range list {
		list[i].Case = strings.TrimSuffix(list[i].Case, suffix)
	}
}

// packetTable has a row for each case and unit, in the order in which they came.
func packetTable(list []Packets) *Table {
	type key struct{ name, unit string }
	var order []key
	values := map[key][]float64{}
	for _, p := range list {
		k := key{p.Case, p.Unit}
		if !slices.Contains(order, k) {
			order = append(order, k)
		}
		values[k] = append(values[k], p.Value)
	}
	t := &Table{Header: []string{"", "median", "first–third quartile", "runs", "unit"}}
	for _, k := range order {
		s := SpreadOf(values[k])
		t.Add(k.name, number(s.Median), number(s.Q1)+"–"+number(s.Q3), fmt.Sprint(s.N), k.unit)
	}
	return t
}

// PacketText writes the results of Go benchmarks for a terminal.
func PacketText(w io.Writer, r Results) { packetTable(r.Packets).Text(w) }

// PacketMarkdown writes them for a document.
func PacketMarkdown(w io.Writer, r Results) {
	fmt.Fprintf(w, "Made by `%s` on %s.\n\n- %s\n", r.Run.Command, r.Run.Started.Format("2 January 2006"), r.Run.Machine)
	for _, v := range r.Run.Versions {
		fmt.Fprintf(w, "- %s\n", v)
	}
	fmt.Fprintln(w)
	packetTable(r.Packets).Markdown(w)
}
