// Package csource finds in C sources what a program makes decisions by, from the syntax tree that clang itself prints: for the tools
// that measure which decisions tests take, and that change them.
package csource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Compiler is the clang that the eBPF objects are made with.
const Compiler = "clang-19"

// Span is a piece of a file: bytes Begin to End.
type Span struct {
	File       string // as clang was told of it, relative to its directory
	Begin, End int
}

// node is one of clang's syntax tree. There are more kinds, and more is said of each, than anybody here asks for.
type node struct {
	Kind   string  `json:"kind"`
	Name   string  `json:"name"`
	Opcode string  `json:"opcode"`
	Loc    *place  `json:"loc"`
	Range  extent  `json:"range"`
	Inner  []*node `json:"inner"`
}

type extent struct {
	Begin *place `json:"begin"`
	End   *place `json:"end"`
}

// place is where a token is. The file is only said where it is another one than that of the place before.
type place struct {
	Offset    *int   `json:"offset"`
	File      string `json:"file"`
	TokLen    int    `json:"tokLen"`
	Spelling  *place `json:"spellingLoc"` // in a macro, whose use is at Expansion
	Expansion *place `json:"expansionLoc"`
}

// parse has clang print the tree of a file in dir.
func parse(ctx context.Context, dir, file string, flags []string) (*node, error) {
	cmd := exec.CommandContext(ctx, Compiler, append(append([]string{"-target", "bpfel"}, flags...), "-fsyntax-only", "-Xclang", "-ast-dump=json", file)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if failure := (*exec.ExitError)(nil); errors.As(err, &failure) {
		return nil, fmt.Errorf("%s %s: %w\n%s", Compiler, file, err, failure.Stderr)
	} else if err != nil {
		return nil, err
	}
	root := new(node)
	if err := json.Unmarshal(out, root); err != nil {
		return nil, fmt.Errorf("read the tree of %s: %w", file, err)
	}
	last := ""
	root.resolve(&last)
	return root, nil
}

// resolve notes the file of each place; last is that of the place before, in the order of the text.
func (n *node) resolve(last *string) {
	n.Loc.resolve(last)
	n.Range.Begin.resolve(last)
	n.Range.End.resolve(last)
	for _, child := range n.Inner {
		child.resolve(last)
	}
}

func (p *place) resolve(last *string) {
	switch {
	case p == nil:
	case p.Expansion != nil:
		p.Spelling.resolve(last)
		p.Expansion.resolve(last)
	case p.Offset != nil:
		if p.File != "" {
			*last = p.File
		}
		p.File = *last
	}
}

// written is the place in the text of the file, for a token of a macro that of its use.
func (p *place) written() *place {
	if p != nil && p.Expansion != nil {
		return p.Expansion
	}
	return p
}

// macro tells that the whole node comes from one use of a macro, so that there is no text of its own.
func (n *node) macro() bool {
	b, e := n.Range.Begin, n.Range.End
	return b != nil && e != nil && b.Expansion != nil && e.Expansion != nil && *b.Expansion.Offset == *e.Expansion.Offset
}

// span is the text of a node; false if it is in none of the files.
func (n *node) span(files map[string]string) (Span, bool) {
	b, e := n.Range.Begin.written(), n.Range.End.written()
	if b == nil || e == nil || b.Offset == nil || e.Offset == nil || b.File != e.File {
		return Span{}, false
	}
	name := filepath.Clean(b.File)
	text, ok := files[name]
	if !ok {
		return Span{}, false
	}
	end := *e.Offset + e.TokLen
	if n.Range.End.Expansion != nil {
		end = behindArguments(text, end)
	}
	return Span{File: name, Begin: *b.Offset, End: end}, true
}

// behindArguments is the offset behind the arguments of a macro whose name ends at an offset; the same one if it has none.
func behindArguments(text string, at int) int {
	if !strings.HasPrefix(text[at:], "(") {
		return at
	}
	depth := 0
	for i := at; i < len(text); i++ {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth--
		}
		if depth == 0 {
			return i + 1
		}
	}
	return at
}
