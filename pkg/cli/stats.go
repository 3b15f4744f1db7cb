package cli

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// shownColumns are the columns of `show stat` that fit a terminal, with what stands above them.
func shownColumns() []shownColumn {
	return []shownColumn{
		{"pxname", "PROXY"}, {"svname", "NAME"}, {"status", "STATUS"}, {"weight", "WEIGHT"}, {"scur", "SESSIONS"}, {"smax", "MAX"},
		{"slim", "LIMIT"}, {"qcur", "QUEUED"}, {"rate", "RATE"}, {"stot", "TOTAL"}, {"econ", "CONN ERR"}, {"hrsp_5xx", "5XX"}, {"addr", "ADDRESS"},
	}
}

type shownColumn struct{ name, title string }

// statsCommand prints what the running waggle counts, as a table, or with --json as it comes.
func statsCommand(ctx context.Context, e Env, args []string) int {
	s, err := parseFlags(e, args)
	if err != nil {
		return failUsage(e, err)
	}
	answer, ok := answerOf(ctx, e, s, "show stat")
	if !ok {
		return ExitFailed
	}
	if s.json {
		fmt.Fprintf(e.Stdout, "%s\n", bytes.TrimSpace(answer))
		return ExitOK
	}
	if err := writeTable(e.Stdout, bytes.NewReader(answer)); err != nil {
		fmt.Fprintf(e.Stderr, "waggle: %v\n", err)
		return ExitFailed
	}
	return ExitOK
}

// writeTable brings the CSV format of `show stat` into columns.
func writeTable(w io.Writer, answer io.Reader) error {
	rows, err := csv.NewReader(answer).ReadAll()
	switch {
	case err != nil:
		return fmt.Errorf("read statistics: %w", err)
	case len(rows) == 0:
		return errors.New("waggle has answered nothing")
	}
	columns := shownColumns()
	at := map[string]int{}
	for i, name := range rows[0] {
		at[strings.TrimPrefix(name, "# ")] = i
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, c := range columns {
		fmt.Fprint(table, c.title, "\t")
	}
	for _, row := range rows[1:] {
		fmt.Fprintln(table)
		for _, c := range columns {
			cell := "-"
			if i, ok := at[c.name]; ok && i < len(row) && row[i] != "" {
				cell = row[i]
			}
			fmt.Fprint(table, cell, "\t")
		}
	}
	fmt.Fprintln(table)
	return table.Flush()
}
