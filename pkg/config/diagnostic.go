package config

import (
	"fmt"
	"strings"
)

// Severity is how bad a diagnostic is.
type Severity uint8

// The severities. Only an Alert keeps a configuration from being used.
const (
	Notice Severity = iota
	Warning
	Alert
)

// String gives HAProxy's word for it.
func (s Severity) String() string {
	switch s {
	case Alert:
		return "ALERT"
	case Warning:
		return "WARNING"
	default:
		return "NOTICE"
	}
}

// Diagnostic is one remark about a configuration.
type Diagnostic struct {
	Severity Severity
	Pos      Pos
	Text     string
	Line     string // the source line that Pos.Col points into; "" if there is none to show
}

// Diagnostics are remarks in the order in which they were found.
type Diagnostics []Diagnostic

// Errors is the error of a configuration that cannot be used: every located alert, at least one.
type Errors struct {
	List Diagnostics
	// Truncated says that reading stopped because there were too many.
	Truncated bool
}

// Error gives one line for each alert.
func (e *Errors) Error() string {
	lines := make([]string, 0, len(e.List)+1)
	for _, d := range e.List {
		lines = append(lines, fmt.Sprintf("%s: %s", d.Pos, d.Text))
	}
	if e.Truncated {
		lines = append(lines, "too many errors, stopped there")
	}
	return strings.Join(lines, "\n")
}

// String gives file:line, or the file alone if no line is meant.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Parts gives what is wrong, and what to do about it where that is known: another word, or where a word belongs.
func (d Diagnostic) Parts() (message, hint string) {
	for _, mark := range []struct{ before, after string }{{suggestion, suggestionEnd}, {belongs, ""}, {gone, ""}} {
		i := strings.LastIndex(d.Text, mark.before)
		if i >= 0 && strings.HasSuffix(d.Text, mark.after) {
			return d.Text[:i], strings.TrimPrefix(d.Text[i:], "; ")
		}
	}
	return d.Text, ""
}

// What begins a hint at the end of a text, and how it ends.
const (
	suggestion, suggestionEnd = "; did you mean '", "' maybe ?"
	belongs                   = "; it belongs to: "
	gone                      = "; use "
)

// Format renders the diagnostic as HAProxy prints it, with the source line and a caret below its
// column where both are known. The result ends without a newline.
func (d Diagnostic) Format(pid int) string {
	var b strings.Builder
	head := "[" + d.Severity.String() + "]"
	fmt.Fprintf(&b, "%-10s (%d) : config : ", head, pid)
	switch {
	case d.Pos.Line > 0:
		fmt.Fprintf(&b, "parsing [%s] : ", d.Pos)
	case d.Pos.File != "":
		fmt.Fprintf(&b, "[%s] : ", d.Pos.File)
	}
	b.WriteString(printable(d.Text))
	if d.Line != "" && d.Pos.Col > 0 {
		b.WriteString("\n  " + caret(d.Line, d.Pos.Col))
	}
	return b.String()
}
