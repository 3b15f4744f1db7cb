package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// messages finds what the program may log at WARN and above, and what the statistics page warns of, by their place in the code.
func messages(t *testing.T) map[string]token.Position {
	t.Helper()
	found := map[string]token.Position{}
	files := token.NewFileSet()
	err := filepath.WalkDir("../../pkg", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "/lab/") {
			return err
		}
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				for _, text := range said(call) {
					if text = plain(text); text != "" {
						found[text] = files.Position(call.Pos())
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// said returns the texts of a call that tells people of trouble.
func said(call *ast.CallExpr) []string {
	name, on := callee(call.Fun)
	switch {
	case (name == "Warn" || name == "Error") && strings.Contains(strings.ToLower(on), "log") && len(call.Args) > 0:
		return literal(call.Args[0])
	case name == "report" && on == "dp" && len(call.Args) > 1:
		return literal(call.Args[1])
	case name == "Log" && len(call.Args) > 2 && word(call.Args[1]) == "LevelWarn":
		return literal(call.Args[2])
	case name == "event" && len(call.Args) > 3 && slices.Contains([]string{"Warning", "Alert", "Emergency"}, word(call.Args[1])):
		return literal(call.Args[3])
	case name == "append" && slices.Contains([]string{"degraded", "handicaps"}, word(call.Args[0])):
		var all []string
		for _, a := range call.Args[1:] {
			all = append(all, literal(a)...)
		}
		return all
	}
	return nil
}

// callee is the name of what is called, and of what it is a method of.
func callee(fun ast.Expr) (name, on string) {
	switch f := fun.(type) {
	case *ast.Ident:
		return f.Name, ""
	case *ast.SelectorExpr:
		return f.Sel.Name, word(f.X)
	}
	return "", ""
}

func word(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

// literal is the text of an expression; parts that are known only at run time are "…".
func literal(e ast.Expr) []string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return []string{text}
		}
	case *ast.BinaryExpr:
		return []string{strings.Join(literal(e.X), "") + strings.Join(literal(e.Y), "")}
	case *ast.CallExpr:
		if name, _ := callee(e.Fun); name == "Sprintf" {
			return literal(e.Args[0])
		}
	case *ast.IndexExpr: // of a table of messages
		if table, ok := e.X.(*ast.CompositeLit); ok {
			var all []string
			for _, el := range table.Elts {
				if kv, ok := el.(*ast.KeyValueExpr); ok {
					all = append(all, literal(kv.Value)...)
				}
			}
			return all
		}
	}
	return []string{"…"}
}

var (
	verb   = regexp.MustCompile(`%[-+ #0-9.]*[a-zA-Z]`)
	blanks = regexp.MustCompile(`…[… .]*…`)
)

// plain takes verbs and what is only known at run time out of a message's ends, and makes an ellipsis of others.
func plain(text string) string {
	text = blanks.ReplaceAllString(verb.ReplaceAllString(text, "…"), "…")
	return strings.Trim(text, "…. :,")
}

// TestTroubleshootingNamesEveryMessage: docs/troubleshooting.md has each message of the code as a heading, and no other.
func TestTroubleshootingNamesEveryMessage(t *testing.T) {
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	var empty string
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "### "):
			if empty != "" {
				t.Errorf("%s: nothing is said of it", empty)
			}
			empty = strings.Trim(strings.TrimPrefix(line, "### "), "`\n")
			documented[empty] = true
		case strings.TrimSpace(line) != "":
			empty = ""
		}
	}
	found := messages(t)
	if len(found) < 40 {
		t.Fatalf("only %d messages were found in the code", len(found))
	}
	for _, m := range slices.Sorted(maps.Keys(found)) {
		if !documented[m] {
			t.Errorf("docs/troubleshooting.md does not explain, with a heading\n### `%s`\n(%s)", m, found[m])
		}
	}
	for m := range documented {
		if _, ok := found[m]; !ok {
			t.Errorf("docs/troubleshooting.md explains %q, which nothing says", m)
		}
	}
}

// A message in the code that is not in the document is found.
func TestMessagesAreFound(t *testing.T) {
	found := messages(t)
	for _, want := range []string{
		"the configuration was not loaded; the one in use stays", "has no server available!", "frontend paused by an operator",
		"server … (…) is not behind an attached interface: its connections go through userspace",
	} {
		if _, ok := found[want]; !ok {
			t.Errorf("%q was not found", want)
		}
	}
	if n := len(found); n > 200 {
		t.Errorf("%d messages: that is too many", n)
	}
}
