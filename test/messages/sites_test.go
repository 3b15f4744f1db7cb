package messages

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// site is a text in the code that may come to be read by somebody.
type site struct {
	file         string // relative to the root
	line, column int
	text         string
}

func (s site) String() string { return fmt.Sprintf("%s:%d: %q", s.file, s.line, s.text) }

// pattern is what a text becomes when it is printed: its verbs may be anything.
func (s site) pattern() *regexp.Regexp {
	var out strings.Builder
	rest := s.text
	for {
		loc := verb.FindStringIndex(rest)
		if loc == nil {
			break
		}
		out.WriteString(regexp.QuoteMeta(rest[:loc[0]]))
		if rest[loc[0]:loc[1]] == "%%" {
			out.WriteString("%")
		} else {
			out.WriteString("(?s:.*)")
		}
		rest = rest[loc[1]:]
	}
	return regexp.MustCompile(out.String() + regexp.QuoteMeta(strings.TrimRight(rest, "\n")))
}

// logFormat is what only formats of log lines have, which are no words.
var logFormat = regexp.MustCompile(`%[{\[]`)

var verb = regexp.MustCompile(`%[-+# 0]*[0-9*]*(?:\.[0-9*]+)?[a-zA-Z%]`)

// sitesOf finds the texts of a package's code. It does not look for the functions that print messages, since there is
// always one more: whatever consists of words is a message unless the place where it stands says that it is none.
func sitesOf(t *testing.T, root, dir string, not exceptions) []site {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v, %d files", dir, err, len(files))
	}
	var all []site
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found, err := sitesIn(filepath.Join(dir, filepath.Base(name)), source, not)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}

func sitesIn(name string, source []byte, not exceptions) (all []site, err error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var path []ast.Node // from the file down to the node
	ast.Inspect(tree, func(n ast.Node) bool {
		if n == nil {
			path = path[:len(path)-1]
			return false
		}
		path = append(path, n)
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		text, _ := strconv.Unquote(lit.Value)
		if not.spares(path) || logFormat.MatchString(text) || !isMessage(text, isError(path)) {
			return true
		}
		at := fset.Position(lit.Pos())
		all = append(all, site{file: name, line: at.Line, column: at.Column, text: text})
		return true
	})
	return all, nil
}

// isMessage says whether a text is made of words: two of them, or one where only messages are written.
func isMessage(text string, certain bool) bool {
	words := strings.FieldsFunc(verb.ReplaceAllString(text, " "), func(r rune) bool { return !unicode.IsLetter(r) })
	n := 0
	for _, w := range words {
		if len(w) > 1 {
			n++
		}
	}
	if certain {
		return n > 0
	}
	return n > 1 && strings.ContainsAny(strings.TrimSpace(text), " ")
}

// isError says that a literal is an argument of what makes errors.
func isError(path []ast.Node) bool {
	for i := len(path) - 1; i >= 0; i-- {
		switch n := path[i].(type) {
		case *ast.CallExpr:
			name := nodeText(n.Fun)
			if name == "errors.New" || strings.HasSuffix(strings.ToLower(name), "errorf") {
				return true
			}
		case *ast.FuncLit, *ast.BlockStmt:
			return false
		}
	}
	return false
}

// exceptions are the places where texts are no messages.
type exceptions struct {
	tables []string // composite literals of these types hold documentation or data; what functions in them say counts
	calls  []string // regular expressions of calls whose arguments are data
	funcs  []string // regular expressions of functions that make tables; what functions in them say counts
	vars   []string // regular expressions of variables and constants that hold tables
}

func (x exceptions) spares(path []ast.Node) bool {
	called := false // between the literal and here
	for i := len(path) - 1; i >= 0; i-- {
		switch n := path[i].(type) {
		case *ast.ImportSpec, *ast.Field: // struct tags
			return true
		case *ast.CaseClause:
			if inList(n.List, path[i+1]) {
				return true
			}
		case *ast.BinaryExpr:
			if n.Op == token.EQL || n.Op == token.NEQ {
				return true
			}
		case *ast.CallExpr:
			if matchesAny(x.calls, nodeText(n.Fun)) {
				return true
			}
			called = true
		case *ast.CompositeLit:
			for _, of := range x.tables {
				if !called && n.Type != nil && nodeText(n.Type) == of {
					return true
				}
			}
		case *ast.FuncLit: // what it says counts, wherever it stands
			return false
		case *ast.FuncDecl:
			return matchesAny(x.funcs, n.Name.Name)
		case *ast.ValueSpec:
			return matchesAny(x.vars, n.Names[0].Name)
		}
	}
	return false
}

func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if regexp.MustCompile("^(?:" + p + ")$").MatchString(name) {
			return true
		}
	}
	return false
}

func inList(list []ast.Expr, n ast.Node) bool {
	for _, e := range list {
		if e == n {
			return true
		}
	}
	return false
}

func nodeText(n ast.Node) string {
	var out strings.Builder
	if err := printer.Fprint(&out, token.NewFileSet(), n); err != nil {
		return ""
	}
	return out.String()
}

// TestSites shows what is found: whatever is made of words, however it is printed, except where tables are.
func TestSites(t *testing.T) {
	const source = `package p

import "some thing"

var names = []row{{"a name", "its long description"}, {"other", func() { say("said by a table's function") }}}

const layout = "day of month"

func rows() []row { return simple("doc of a row") }

func f(x string) error {
	if x == "not a message" || strings.Contains(x, "nor is this") {
		complain(3, "a complaint by way of something new: " + x, "word")
	}
	switch x {
	case "these are not":
		return fmt.Errorf("one%d", 1)
	}
	_ = T{Text: "a field of words"}
	return errors.New("word")
}
`
	found, err := sitesIn("p.go", []byte(source), exceptions{tables: []string{"[]row"}, calls: []string{`strings\.\w+`}, funcs: []string{"rows"}, vars: []string{"layout"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range found {
		got = append(got, s.text)
	}
	want := "said by a table's function|a complaint by way of something new: |one%d|a field of words|word"
	if s := strings.Join(got, "|"); s != want {
		t.Errorf("found %s\nwant  %s", s, want)
	}
	s := site{text: "'%s' takes %-3d%% of %v\n"}
	if p := s.pattern(); !p.MatchString("x: 'a' takes 5  % of b, really") || p.MatchString("'a' takes 5 of b") {
		t.Errorf("pattern %s", p)
	}
}
