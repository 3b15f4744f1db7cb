package csource

import (
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Decision is a place where a program goes one way or another: a condition of if, ?:, && and || or a loop that has no further && and ||
// in it, or the operand of a switch.
type Decision struct {
	Span
	Line     int
	Function string
	Text     string
	// Labels are the values of a switch as they are written; none: it is a condition.
	Labels []string
}

// Sources are files of one directory.
type Sources struct {
	Dir   string
	Units []string // what is compiled; the headers are included
	Flags []string // of the compiler
	Files map[string]string
}

// Read reads all C files of a directory, of which units are compiled with flags.
func Read(dir string, units, flags []string) (Sources, error) {
	s := Sources{Dir: dir, Units: units, Flags: flags, Files: make(map[string]string)}
	names, err := filepath.Glob(filepath.Join(dir, "*.[hc]"))
	if err != nil {
		return s, err
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return s, err
		}
		s.Files[filepath.Base(name)] = string(text)
	}
	return s, nil
}

// Decisions finds those of all functions in the sources' own files, in the order of the text; each once, however many units include it.
func (s Sources) Decisions(ctx context.Context) ([]Decision, error) {
	found := make(map[Span]Decision)
	for _, unit := range s.Units {
		root, err := parse(ctx, s.Dir, unit, s.Flags)
		if err != nil {
			return nil, err
		}
		f := finder{files: s.Files, found: found}
		f.walk(root)
	}
	return slices.SortedFunc(maps.Values(found), func(a, b Decision) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Begin, b.Begin), cmp.Compare(b.End, a.End))
	}), nil
}

type finder struct {
	files    map[string]string
	found    map[Span]Decision
	function string
}

func (f *finder) walk(n *node) {
	if n.Kind == "FunctionDecl" {
		f.function = n.Name
		defer func() { f.function = "" }()
	}
	if f.function != "" && !n.macro() {
		f.visit(n)
	}
	for _, child := range n.Inner {
		f.walk(child)
	}
}

func (f *finder) visit(n *node) {
	switch n.Kind {
	case "IfStmt", "WhileStmt", "ConditionalOperator":
		f.condition(n.Inner[0])
	case "DoStmt":
		f.condition(n.Inner[1])
	case "ForStmt":
		f.condition(n.Inner[2])
	case "BinaryOperator":
		if n.Opcode == "&&" || n.Opcode == "||" {
			f.condition(n.Inner[0])
			f.condition(n.Inner[1])
		}
	case "SwitchStmt":
		f.add(n.Inner[0], f.labels(n.Inner[1], nil))
	}
}

// condition adds what a condition consists of.
func (f *finder) condition(n *node) {
	switch {
	case n.Kind == "ParenExpr", n.Kind == "ImplicitCastExpr", n.Kind == "UnaryOperator" && n.Opcode == "!":
		f.condition(n.Inner[0])
	case n.Kind == "BinaryOperator" && (n.Opcode == "&&" || n.Opcode == "||"):
		// Its operands are found by themselves.
	case n.Kind != "":
		f.add(n, nil)
	}
}

func (f *finder) add(n *node, labels []string) {
	span, ok := n.span(f.files)
	if !ok {
		return
	}
	text := f.files[span.File]
	f.found[span] = Decision{Span: span, Line: 1 + strings.Count(text[:span.Begin], "\n"), Function: f.function,
		Text: text[span.Begin:span.End], Labels: labels}
}

// labels are the values of a switch, whose body n is.
func (f *finder) labels(n *node, found []string) []string {
	if n.Kind == "SwitchStmt" {
		return found
	}
	if n.Kind == "CaseStmt" {
		if span, ok := n.Inner[0].span(f.files); ok {
			found = append(found, f.files[span.File][span.Begin:span.End])
		}
	}
	for _, child := range n.Inner {
		found = f.labels(child, found)
	}
	return found
}
