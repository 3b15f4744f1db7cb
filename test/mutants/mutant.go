package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// mutant is the tree without one mechanism.
type mutant struct {
	// name says what is the case then.
	name  string
	edits []edit
	// tests are names of tests in pkg, separated by |, all of which must fail.
	tests string
	pkg   string // default datapath
}

// edit replaces a text that occurs exactly once in a file.
type edit struct {
	file, old, new string
}

// datapath is the package that holds the eBPF objects, and most of the tests.
const datapath = "pkg/datapath"

// mutants are all that there are.
func mutants() []mutant {
	all := slices.Concat(packetMutants, flowMutants, portMutants, choiceMutants, failureMutants, lifeMutants, countMutants, agentMutants)
	for i := range all {
		if all[i].pkg == "" {
			all[i].pkg = datapath
		}
	}
	return all
}

// one is a mutant of one edit.
func one(name, file, from, to, tests string) mutant {
	return mutant{name: name, edits: []edit{{file, from, to}}, tests: tests}
}

// in is the same whose tests are in another package.
func in(pkg, name, file, from, to, tests string) mutant {
	m := one(name, file, from, to, tests)
	m.pkg = pkg
	return m
}

// compiled tells that the eBPF object is made anew.
func (m mutant) compiled() bool {
	return slices.ContainsFunc(m.edits, func(e edit) bool { return strings.HasPrefix(e.file, "bpf/") })
}

// onlyCompiled tells that the Go files are as they were, and that the tests load the object from where it was made.
func (m mutant) onlyCompiled() bool {
	return m.pkg == datapath && !slices.ContainsFunc(m.edits, func(e edit) bool { return !strings.HasPrefix(e.file, "bpf/") })
}

// apply is the text of the file with the edit in it.
func (e edit) apply(text string) (string, error) {
	if n := strings.Count(text, e.old); n != 1 {
		return "", fmt.Errorf("%s has %d times, not once:\n%s", e.file, n, e.old)
	}
	if e.old == e.new {
		return "", fmt.Errorf("%s: the edit changes nothing", filepath.Base(e.file))
	}
	return strings.Replace(text, e.old, e.new, 1), nil
}
