package config

import "strings"

// caretWidth is how much of a source line is shown.
const caretWidth = 120

// caret gives the source line and, on a second line, a ^ below column col (from 1). Control
// characters are shown as spaces so that the columns of both lines agree, and a long line is cut
// around the column.
func caret(line string, col int) string {
	start := 0
	if col > caretWidth*3/4 {
		start = col - caretWidth*3/4
	}
	if start > len(line) {
		start = len(line)
	}
	end := min(len(line), start+caretWidth)
	shown := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, line[start:end])
	return shown + "\n  " + strings.Repeat(" ", max(0, col-1-start)) + "^"
}
