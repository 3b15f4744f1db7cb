package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The excuses keep up with the sources: each names a function of its file, and a condition that is in it.
func TestExcusesFitTheSources(t *testing.T) {
	seen := make(map[excuse]bool)
	for _, e := range excuses {
		text, err := os.ReadFile(filepath.Join("../../bpf", e.file))
		if err != nil {
			t.Fatal(err)
		}
		if seen[e] {
			t.Errorf("%s %s: %q is excused twice", e.file, e.function, e.text)
		}
		seen[e] = true
		body := regexp.MustCompile(`(?ms)^\S[^;{}]*\b`+e.function+`\([^;{}]*\)\n\{\n.*?^\}`).FindAllString(string(text), -1)
		if !strings.Contains(strings.Join(body, "\n"), e.text) {
			t.Errorf("%s: %s has no %q", e.file, e.function, e.text)
		}
	}
}
