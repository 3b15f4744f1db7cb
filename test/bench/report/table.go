package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"
)

// Table is text in columns: the first to the left, numbers to the right.
type Table struct {
	Header []string
	Rows   [][]string
}

// Add appends a row, which must have as many cells as the header.
func (t *Table) Add(cells ...string) { t.Rows = append(t.Rows, cells) }

// Text writes the table for a terminal.
func (t *Table) Text(w io.Writer) {
	widths := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		var line strings.Builder
		for i, cell := range row {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				line.WriteString("  " + cell + gap)
			} else {
				line.WriteString("  " + gap + cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// Markdown writes the table for a document.
func (t *Table) Markdown(w io.Writer) {
	writeRow := func(cells []string) {
		for _, cell := range cells {
			fmt.Fprint(w, "| ", strings.ReplaceAll(cell, "|", `\|`), " ")
		}
		fmt.Fprintln(w, "|")
	}
	writeRow(t.Header)
	fmt.Fprintln(w, "|:---"+strings.Repeat("|---:", len(t.Header)-1)+"|")
	for _, row := range t.Rows {
		writeRow(row)
	}
}

// none stands for a number that there is not.
const none = "–"

// number prints three significant digits, and whole numbers from 100 on with their thousands apart.
func number(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return none
	case math.Abs(v) >= 99.95:
		return thousands(int64(math.Round(v)))
	case math.Abs(v) >= 9.995:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func thousands(n int64) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", thousands(n/1000), n%1000)
}

// text is the median with the middle half.
func (s Spread) text() string {
	if s.N == 0 {
		return none
	}
	return fmt.Sprintf("%s [%s–%s]", number(s.Median), number(s.Q1), number(s.Q3))
}

// times is a ratio as text.
func (s Spread) times() string {
	if s.N == 0 {
		return none
	}
	return fmt.Sprintf("×%.2f [%.2f–%.2f]", s.Median, s.Q1, s.Q3)
}

// milliseconds prints microseconds.
func milliseconds(us float64) string {
	return number(us / 1000)
}

// mebibytes prints bytes, nothing for none.
func mebibytes(bytes float64) string {
	if bytes == 0 {
		return none
	}
	return number(bytes / (1 << 20))
}
