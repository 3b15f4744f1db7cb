// Package messages finds each text that the configuration, the command line and the Runtime API can answer with, and
// demands that a test shows it.
package messages

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"waggle/pkg/lab/message"
)

const root = "../.."

// TestEveryMessageHasATest runs the tests of messages with coverage. A text of the code counts as shown if its
// statement ran there and a text that was demanded word for word contains it.
func TestEveryMessageHasATest(t *testing.T) {
	ran, said := runTests(t)
	unused := map[string]bool{}
	for text := range excused() {
		unused[text] = true
	}
	missing := 0
	for dir, not := range audited() {
		for _, s := range sitesOf(t, root, dir, not) {
			switch {
			case excused()[s.text] != "":
				delete(unused, s.text)
			case !ran.has(s):
				missing++
				t.Errorf("%s\n\tno test of messages gets there", s)
			case !said.contain(s):
				missing++
				t.Errorf("%s\n\tno test demands a text like it", s)
			}
		}
	}
	for text, why := range excused() {
		for _, name := range regexp.MustCompile(`\bTest\w+|testdata/script/\S+`).FindAllString(why, -1) {
			if !exists(t, name) {
				t.Errorf("%q is excused by %s, which is not there", text, name)
			}
		}
	}
	for text := range unused {
		t.Errorf("%q is excused and not in the code", text)
	}
	if missing > 0 {
		t.Errorf("%d texts are not shown: each wants a row in a table of its package's tests that calls message.Shown, or a word in audited_test.go on why it is no message", missing)
	}
}

// exists looks a test or a script up by its name.
func exists(t *testing.T, name string) bool {
	t.Helper()
	if strings.HasPrefix(name, "testdata") {
		_, err := os.Stat(filepath.Join(root, "pkg/cli", name))
		return err == nil
	}
	for dir := range audited() {
		files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if content, err := os.ReadFile(file); err == nil && bytes.Contains(content, []byte("func "+name+"(")) {
				return true
			}
		}
	}
	return false
}

// runTests runs what records, and gives what ran and what was said.
func runTests(t *testing.T) (coverage, texts) {
	t.Helper()
	var packages, paths []string
	for dir := range audited() {
		packages = append(packages, "waggle/"+dir)
		paths = append(paths, "./"+dir)
	}
	dir := t.TempDir()
	profile, kept := filepath.Join(dir, "cover"), filepath.Join(dir, "said")
	args := []string{"test", "-count=1", "-run", recorders, "-coverpkg", strings.Join(packages, ","), "-coverprofile", profile}
	cmd := exec.CommandContext(t.Context(), "go", append(args, paths...)...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), message.Variable+"="+kept)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return readCoverage(t, profile), readTexts(t, kept)
}

// coverage has the blocks of each file, by its name from the root.
type coverage map[string][]block

type block struct{ startLine, startColumn, endLine, endColumn, statements, count int }

// readCoverage reads lines of `file:line.column,line.column statements count`.
func readCoverage(t *testing.T, name string) coverage {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	c := coverage{}
	_, content, _ = bytes.Cut(content, []byte{'\n'}) // the mode
	for line := range strings.Lines(string(content)) {
		file, rest, _ := strings.Cut(line, ":")
		var b block
		if _, err := fmt.Sscanf(rest, "%d.%d,%d.%d %d %d", &b.startLine, &b.startColumn, &b.endLine, &b.endColumn, &b.statements, &b.count); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		file = strings.TrimPrefix(file, "waggle/")
		c[file] = append(c[file], b)
	}
	return c
}

// has says whether the innermost block around a site ran. What is in none is no statement, such as a package's variable.
func (c coverage) has(s site) bool {
	var inner block
	ran := true
	for _, b := range c[s.file] {
		if !before(b.startLine, b.startColumn, s) || before(b.endLine, b.endColumn, s) {
			continue
		}
		switch {
		case b.startLine == inner.startLine && b.startColumn == inner.startColumn: // of another test binary
			ran = ran || b.count > 0
		case b.startLine > inner.startLine, b.startLine == inner.startLine && b.startColumn > inner.startColumn:
			inner, ran = b, b.count > 0
		}
	}
	return ran
}

func before(line, column int, s site) bool {
	return line < s.line || line == s.line && column <= s.column
}

type texts []string

func readTexts(t *testing.T, name string) (all texts) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var text string
		if err := json.Unmarshal(lines.Bytes(), &text); err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	if lines.Err() != nil || len(all) == 0 {
		t.Fatalf("%v, %d texts", lines.Err(), len(all))
	}
	return all
}

func (all texts) contain(s site) bool {
	p := s.pattern()
	for _, text := range all {
		if p.MatchString(text) {
			return true
		}
	}
	return false
}
