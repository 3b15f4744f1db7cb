package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// The table keeps up with the sources: every text that a mutant changes is there once, and so are the tests that must notice.
func TestMutantsFitTheTree(t *testing.T) {
	names := make(map[string]bool)
	for _, m := range mutants() {
		if names[m.name] {
			t.Errorf("two mutants are called %q", m.name)
		}
		names[m.name] = true
		for _, e := range m.edits {
			text, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.apply(string(text)); err != nil {
				t.Errorf("%s: %v", m.name, err)
			}
		}
		sources := testSources(t, m.pkg)
		for name := range strings.SplitSeq(m.tests, "|") {
			if !regexp.MustCompile(`(?m)^func ` + name + `\(`).MatchString(sources) {
				t.Errorf("%s: %s has no %s", m.name, m.pkg, name)
			}
		}
	}
}

// testSources are all test files of a package.
func testSources(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d test files, %v", pkg, len(files), err)
	}
	var all strings.Builder
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}

// A test counts as failed when it says so, or when it was cut off.
func TestVerdicts(t *testing.T) {
	for out, want := range map[string][2]bool{ // passed, failed
		"--- PASS: TestA (0.01s)\nPASS\n":                                  {true, false},
		"--- FAIL: TestA (0.01s)\nFAIL\n":                                  {false, true},
		"    --- FAIL: TestA (0.01s)\n":                                    {false, false},
		"--- FAIL: TestAll (0.01s)\nFAIL\n":                                {false, false},
		"# waggle/pkg/datapath\nx.go:1: undefined: y\nFAIL [build failed]": {false, false},
		"--- SKIP: TestA (0.00s)\nok\n":                                    {false, false},
		"=== RUN   TestA\npanic: test timed out after 1s\n":                {false, true},
		"=== RUN   TestB\npanic: runtime error\n":                          {false, false},
	} {
		if got := [2]bool{passed(out, "TestA"), failed(out, "TestA")}; got != want {
			t.Errorf("%q: passed, failed %v, want %v", out, got, want)
		}
	}
}
