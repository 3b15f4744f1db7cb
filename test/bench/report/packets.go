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

// meanings say what benchmarks of the kernel path measure, for readers of a document. One that is not here is shown by its name alone.
var meanings = map[string]string{
	"Forward":                "client to server, of an established flow",
	"Reverse":                "server to client",
	"ForwardUnknownMAC":      "client to server, the next hop's MAC not known: the kernel finds the way",
	"Forward6":               "client to server, IPv6",
	"XDPForward":             "client to server, by XDP",
	"XDPReverse":             "server to client, by XDP",
	"XDPForward6":            "client to server, IPv6, by XDP",
	"XDPNotOurs":             "not ours: what XDP adds to a packet that it leaves to TC",
	"NotOurs":                "not ours: to no service",
	"Stray":                  "to a service, of no flow",
	"SYN":                    "a SYN that is taken, caches cold; each deletes another half-open flow",
	"Connection":             "a connection with one request and one response, in three parts",
	"MapWork/as_it_is":       "the work in the table of flows alone: two insertions, a look-up, two deletions",
	"MapWork/preallocated":   "the same in a preallocated table",
	"Lookup/key_of_12_bytes": "a look-up in a table with small keys",
	"Lookup/key_of_36_bytes": "the same with the keys of flows",
	"Collector/1000":         "one search for flows that are over, in a table of 1,000",
	"Collector/100000":       "the same, of 100,000",
	"Collector/1000000":      "the same, of a million",
}

// PacketText writes the results of Go benchmarks for a terminal.
func PacketText(w io.Writer, r Results) { packetTable(r.Packets).Text(w) }

// PacketMarkdown writes them for a document, with the chart if there is one. What depends on a number of servers or flows has tables of
// its own.
func PacketMarkdown(w io.Writer, r Results, chart string) {
	fmt.Fprintf(w, "Made by `%s` on %s.\n\n- %s\n", r.Run.Command, r.Run.Started.Format("2 January 2006"), r.Run.Machine)
	for _, v := range r.Run.Versions {
		fmt.Fprintf(w, "- %s\n", v)
	}
	fmt.Fprintln(w)
	if chart != "" {
		fmt.Fprintf(w, "![What the eBPF program takes, by the number of servers and of live flows](%s)\n\n", chart)
	}
	scaled, rest := scalings(r.Packets)
	scaleMarkdown(w, scaled)
	if len(rest) > 0 {
		fmt.Fprint(w, "### By what the packet is\n\n")
		t := packetTable(rest)
		for _, row := range t.Rows {
			if m := meanings[row[0]]; m != "" {
				row[0] += ": " + m
			}
		}
		t.Markdown(w)
	}
}
