package config

import (
	"strings"
	"testing"
)

func TestFormat(t *testing.T) {
	tests := []struct {
		d    Diagnostic
		want string
	}{
		{Diagnostic{Severity: Alert, Pos: Pos{"f.cfg", 3, 0}, Text: "x"}, "[ALERT]    (42) : config : parsing [f.cfg:3] : x"},
		{Diagnostic{Severity: Warning, Pos: Pos{File: "f.cfg"}, Text: "x"}, "[WARNING]  (42) : config : [f.cfg] : x"},
		{Diagnostic{Severity: Notice, Text: "x\x1b[31m"}, "[NOTICE]   (42) : config : x [31m"},
		{Diagnostic{Severity: Alert, Pos: Pos{"f", 1, 5}, Line: "\tbad word", Text: "x"}, "[ALERT]    (42) : config : parsing [f:1] : x\n   bad word\n      ^"},
		{Diagnostic{Severity: Alert, Pos: Pos{"f", 1, 5}, Line: "äö b", Text: "x"}, "[ALERT]    (42) : config : parsing [f:1] : x\n  äö b\n    ^"},
		{Diagnostic{Severity: Alert, Pos: Pos{"f", 1, 99}, Line: "short", Text: "x"}, "[ALERT]    (42) : config : parsing [f:1] : x\n  short\n       ^"},
	}
	for _, test := range tests {
		if got := test.d.Format(42); got != test.want {
			t.Errorf("got\n%s\nwant\n%s", got, test.want)
		}
	}
}

// A column far to the right is shown with the text around it.
func TestFormatCutsLongLines(t *testing.T) {
	line := strings.Repeat("x", 500) + "HERE" + strings.Repeat("y", 500)
	d := Diagnostic{Severity: Alert, Pos: Pos{"f", 1, 501}, Line: line, Text: "t"}
	rows := strings.Split(d.Format(1), "\n")
	if len(rows) != 3 || len(rows[1]) > caretWidth+2 {
		t.Fatalf("%q", rows)
	}
	if at := strings.IndexByte(rows[2], '^'); !strings.HasPrefix(rows[1][at:], "HERE") {
		t.Errorf("the caret points to %q", rows[1][at:])
	}
}

func TestNearest(t *testing.T) {
	words := []string{"bind", "balance", "maxconn", "option", "timeout client", "timeout connect"}
	for got, want := range map[string]string{
		"bnd": "bind", "bidn": "bind", "blance": "balance", "maxcon": "maxconn", "optoin": "option", "timeout clinet": "timeout client",
		"xyz": "", "b": "", "": "", strings.Repeat("bind", 40): "",
	} {
		if n := Nearest(got, words); n != want {
			t.Errorf("Nearest(%q) = %q, want %q", got, n, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "axc", 1}, {"abc", "bca", 2}, {"kitten", "sitting", 3}} {
		if got := distance(test.a, test.b); got != test.want || distance(test.b, test.a) != test.want {
			t.Errorf("distance(%q, %q) = %d, want %d both ways", test.a, test.b, got, test.want)
		}
	}
}

// Every directive has what its documentation needs, and a supported one a parser.
func TestTableIsComplete(t *testing.T) {
	seen := map[string]sections{}
	for _, d := range directives().rows {
		if d.doc == "" || d.in == 0 {
			t.Errorf("%q lacks a sentence or a section", d.name)
		}
		if d.status == Supported && d.parse == nil || d.status > Ignored && d.parse != nil {
			t.Errorf("%q is %s and has a parser: %v", d.name, d.status, d.parse != nil)
		}
		if needs := d.status == Ignored || d.status == Removed; needs && d.why == "" || d.status == Supported && d.why != "" {
			t.Errorf("%q is %s because of %q", d.name, d.status, d.why)
		}
		if n := strings.Count(d.name, " ") + 1; n > maxNameWords {
			t.Errorf("%q has %d words", d.name, n)
		}
		if seen[d.name]&d.in != 0 {
			t.Errorf("%q is twice in the table for %s", d.name, seen[d.name]&d.in)
		}
		seen[d.name] |= d.in
	}
	params := map[string]bool{}
	for _, p := range serverParams() {
		if params[p.name] {
			t.Errorf("server parameter %q is twice in the table", p.name)
		}
		params[p.name] = true
	}
	params = map[string]bool{}
	for _, p := range bindParams() {
		if params[p.name] {
			t.Errorf("bind parameter %q is twice in the table", p.name)
		}
		params[p.name] = true
	}
}
