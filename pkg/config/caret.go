package config

import (
	"strings"
	"unicode/utf8"
)

// caretWidth is how much of a source line is shown.
const caretWidth = 120

// caret gives the source line and, on a second line, a ^ below column col (from 1). Control
// characters are shown as spaces so that the columns of both lines agree, and a long line is cut
// around the column.
func caret(line string, col int) string {
	col = min(col, len(line)+1)
	start := 0
	if col > caretWidth*3/4 {
		start = col - caretWidth*3/4
	}
	end := min(len(line), start+caretWidth)
	return printable(line[start:end]) + "\n  " + strings.Repeat(" ", utf8.RuneCountInString(line[start:col-1])) + "^"
}

// printable replaces control characters by blanks, so that a configuration cannot steer the terminal
// that shows a message about it.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
}
