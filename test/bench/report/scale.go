package report

import (
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// scaling is how a cost grows with a number, of servers or of flows: results whose unit ends with "-of-NUMBER".
type scaling struct {
	Case, Unit string            // the unit without its number
	Values     map[int][]float64 // by the number, in the order of the runs
}

var numbered = regexp.MustCompile(`^(ns/.+)-of-(\d+)$`)

// scalings takes those results out of a list.
func scalings(list []Packets) (found []scaling, rest []Packets) {
	for _, p := range list {
		m := numbered.FindStringSubmatch(p.Unit)
		if m == nil {
			rest = append(rest, p)
			continue
		}
		n, _ := strconv.Atoi(m[2]) // digits; one beyond all numbers would be a column 0
		i := slices.IndexFunc(found, func(s scaling) bool { return s.Case == p.Case && s.Unit == m[1] })
		if i < 0 {
			i = len(found)
			found = append(found, scaling{p.Case, m[1], map[int][]float64{}})
		}
		found[i].Values[n] = append(found[i].Values[n], p.Value)
	}
	return found, rest
}

// numbers lists what the costs of a group are known for, ascending.
func numbers(group []scaling) []int {
	var all []int
	for _, s := range group {
		for n := range s.Values {
			if !slices.Contains(all, n) {
				all = append(all, n)
			}
		}
	}
	slices.Sort(all)
	return all
}

// ratio is that of the cost for the one number to that for the other, within each run.
func (s scaling) ratio(most, least int) Spread {
	var ratios []float64
	for i, v := range s.Values[most] {
		if base := s.Values[least]; i < len(base) && base[i] > 0 {
			ratios = append(ratios, v/base[i])
		}
	}
	return SpreadOf(ratios)
}

// title is the row's name: the benchmark's without what all rows of its table have, and which packets are meant.
func (s scaling) title() string {
	name := s.Case[strings.LastIndexByte(s.Case, '/')+1:]
	part := strings.TrimPrefix(s.Unit, "ns/")
	if kind, flood := strings.CutSuffix(name, "-flood"); flood {
		return kind + ", " + part + " of a flood"
	}
	return name + ", " + part
}

// live says that a scaling is over the number of live flows, and not of servers.
func (s scaling) live() bool { return s.Case == "Live" }

// goal is what the most may cost to the least, 0 where nothing is demanded.
func (s scaling) goal() float64 {
	switch {
	case s.live():
		return 3
	case strings.HasPrefix(s.Case, "Setup/") && s.Unit == "ns/SYN" && !strings.HasSuffix(s.Case, "leastconn") && !strings.HasSuffix(s.Case, "-flood"):
		return 1.10
	}
	return 0
}

// scaleTable has a row for each scaling and a column for each number.
func scaleTable(group []scaling) *Table {
	columns := numbers(group)
	least, most := columns[0], columns[len(columns)-1]
	t := &Table{Header: []string{"ns"}}
	for _, n := range columns {
		t.Header = append(t.Header, grouped(n))
	}
	t.Header = append(t.Header, grouped(most)+" to "+grouped(least), "goal")
	for _, s := range group {
		row := []string{s.title()}
		for _, n := range columns {
			row = append(row, number(SpreadOf(s.Values[n]).Median))
		}
		r, goal, verdict := s.ratio(most, least), s.goal(), none
		if goal > 0 && r.N > 0 {
			v := Met
			switch {
			case r.Q1 > goal:
				v = Missed
			case r.Median > goal:
				v = Close
			}
			verdict = fmt.Sprintf("≤ %.2f: %s", goal, v.text(r.N))
		}
		t.Add(append(row, r.times(), verdict)...)
	}
	return t
}

func grouped(n int) string { return thousands(int64(n)) }

// scaleMarkdown writes what depends on a number of servers or flows, if anything was measured that does.
func scaleMarkdown(w io.Writer, all []scaling) {
	servers, flows := split(all)
	if len(servers) > 0 {
		fmt.Fprint(w, "### By the number of servers\n\nTo set up a connection: its SYN alone, and the three packets of its handshake. In a flood no SYN is answered, and each one\ndeletes another half-open flow.\n\n")
		scaleTable(servers).Markdown(w)
		fmt.Fprintln(w)
	}
	if len(flows) > 0 {
		fmt.Fprint(w, "### By the number of live flows\n\nA packet of an established flow, drawn uniformly over all flows and both directions.\n\n")
		scaleTable(flows).Markdown(w)
		fmt.Fprintln(w)
	}
}

// split tells the scalings over servers from those over flows.
func split(all []scaling) (servers, flows []scaling) {
	for _, s := range all {
		if s.live() {
			flows = append(flows, s)
		} else {
			servers = append(servers, s)
		}
	}
	return servers, flows
}
