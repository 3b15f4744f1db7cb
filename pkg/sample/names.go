package sample

import (
	"maps"
	"slices"
	"strings"
)

// Names are the names that expressions may use, for documentation. Each list is sorted.
type Names struct {
	Fetches    []string // with their older names, without those that end in a match method
	Suffixed   []string // the fetches that also exist as path_beg, path_end and so on
	Converters []string
	Methods    []string // of -m
	Predefined []string // ACLs
	// Foreign are the fetches and converters of HAProxy 3.2 that are not supported.
	ForeignFetches, ForeignConverters []string
}

// AllNames gives the names that this version knows.
func AllNames() Names {
	n := Names{
		Fetches:    slices.Collect(maps.Keys(fetches)),
		Suffixed:   slices.Sorted(maps.Keys(suffixed)),
		Converters: slices.Sorted(maps.Keys(converters)),
		Methods:    slices.Sorted(maps.Keys(methods)),
	}
	n.Fetches = slices.AppendSeq(n.Fetches, maps.Keys(aliases))
	slices.Sort(n.Fetches)
	for name, words := range predefined {
		if _, err := compileTest(words, Env{}); err == nil {
			n.Predefined = append(n.Predefined, name)
		}
	}
	slices.Sort(n.Predefined)
	for name := range strings.FieldsSeq(knownFetches) {
		if !slices.Contains(n.Fetches, name) {
			n.ForeignFetches = append(n.ForeignFetches, name)
		}
	}
	for name := range strings.FieldsSeq(knownConverters) {
		if converters[name] == nil {
			n.ForeignConverters = append(n.ForeignConverters, name)
		}
	}
	return n
}
