package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"waggle/test/csource"
)

// coverMap is the map that holds a byte for each outcome; its section makes it one.
const coverMap = ".data.wg_cover"

// probes is the header that instrumented sources begin with. A bool shares its memory with nothing else that the sources have, so that what the
// compiler knows of other memory, and the verifier after it, stays known beyond a probe.
const probes = `#pragma once
volatile _Bool wg_cover[%d] __attribute__((section("` + coverMap + `")));
#define WG_SEEN(n) ({ wg_cover[n] = 1; 1; })
#define WG_COND(n, ...) ((__VA_ARGS__) ? WG_SEEN(n) : !WG_SEEN(n + 1))
`

// outcome is one way that a decision can go.
type outcome struct {
	decision csource.Decision
	result   string // true, false, or the label of a switch
}

// outcomes are all ways of all decisions; their indices are those of the probes.
func outcomes(decisions []csource.Decision) (all []outcome) {
	for _, d := range decisions {
		results := []string{"true", "false"}
		if d.Labels != nil {
			results = append(slices.Clone(d.Labels), "other")
		}
		for _, result := range results {
			all = append(all, outcome{d, result})
		}
	}
	return all
}

// insertion is a text that is put in at an offset. Of those at one place the ends come first, and what is inside is inside.
type insertion struct {
	at, length int
	text       string
	begins     bool
}

// instrument returns the sources with a probe for each outcome.
func instrument(s csource.Sources, decisions []csource.Decision) map[string]string {
	insertions := make(map[string][]insertion)
	first := 0
	for _, d := range decisions {
		before, behind, n := probe(d, first)
		first += n
		insertions[d.File] = append(insertions[d.File],
			insertion{d.Begin, d.End - d.Begin, before, true}, insertion{d.End, d.End - d.Begin, behind, false})
	}
	files := map[string]string{"wg_cover.h": fmt.Sprintf(probes, max(first, 1))}
	for name, text := range s.Files {
		files[name] = put(text, insertions[name])
		if slices.Contains(s.Units, name) {
			files[name] = "#include \"wg_cover.h\"\n" + files[name]
		}
	}
	return files
}

// probe is what goes before and behind a decision, whose first probe is given, and how many it has.
func probe(d csource.Decision, first int) (before, behind string, n int) {
	if d.Labels == nil {
		return fmt.Sprintf("WG_COND(%d, ", first), ")", 2
	}
	var tell strings.Builder
	for i, label := range d.Labels {
		fmt.Fprintf(&tell, "if (wg_operand == (%s)) WG_SEEN(%d); else ", label, first+i)
	}
	return "({ __auto_type wg_operand = (", fmt.Sprintf("); %sWG_SEEN(%d); wg_operand; })", tell.String(), first+len(d.Labels)), len(d.Labels) + 1
}

func put(text string, all []insertion) string {
	slices.SortFunc(all, func(a, b insertion) int {
		if a.at != b.at || a.begins != b.begins {
			return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(rank(a), rank(b)))
		}
		if a.begins {
			return cmp.Compare(b.length, a.length)
		}
		return cmp.Compare(a.length, b.length)
	})
	var out strings.Builder
	last := 0
	for _, i := range all {
		out.WriteString(text[last:i.at])
		out.WriteString(i.text)
		last = i.at
	}
	return out.String() + text[last:]
}

func rank(i insertion) int {
	if i.begins {
		return 1
	}
	return 0
}
