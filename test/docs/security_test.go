package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatsHaveTests: each row of a table in security.md names tests that exist.
func TestThreatsHaveTests(t *testing.T) {
	content, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9/]+)\\.((?:Test|Fuzz)\\w+)`")
	tests := map[string]map[string]bool{}
	rows := 0
	for i, line := range strings.Split(string(content), "\n") {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| threat") {
			continue
		}
		rows++
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		found := named.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(cells) != 3 || len(found) == 0 {
			t.Errorf("security.md:%d: %d cells, %d tests: want a threat, what is done, and a test", i+1, len(cells), len(found))
		}
		for _, f := range found {
			if tests[f[1]] == nil {
				tests[f[1]] = testsOf(t, filepath.Join("../..", f[1]))
			}
			if !tests[f[1]][f[2]] {
				t.Errorf("security.md:%d: there is no test %s in %s", i+1, f[2], f[1])
			}
		}
	}
	if rows < 40 {
		t.Errorf("only %d rows were found", rows)
	}
}

// testsOf lists the test and fuzz functions of a directory.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in %s: %v", dir, err)
	}
	all := map[string]bool{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				all[f.Name.Name] = true
			}
		}
	}
	return all
}
