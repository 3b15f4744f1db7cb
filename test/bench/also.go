package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"waggle/pkg/lab"
	"waggle/test/bench/report"
)

// also adds other builds of waggle, or of scripts that start it in another way, so that a change can be measured
// beside what was there before: list is NAME=PROGRAM, separated by commas.
func (s suite) also(list string) (suite, error) {
	if list == "" {
		return s, nil
	}
	for item := range strings.SplitSeq(list, ",") {
		name, program, ok := strings.Cut(item, "=")
		if !ok || name == "" || program == "" {
			return s, fmt.Errorf("-also wants NAME=PROGRAM, not %q", item)
		}
		if slices.Contains(names(s.Contenders), name) {
			return s, fmt.Errorf("-also %s: there is one already", name)
		}
		program, err := filepath.Abs(program)
		if err != nil {
			return s, err
		}
		c := contender{report.Contender{Name: name, Title: name}, nil, func(ctx context.Context, st *stage) error {
			st.setting.program = lab.Command{Argv: []string{program}}
			return s.ours(ctx, st)
		}}
		s.contenders, s.Contenders = append(s.contenders, c), append(s.Contenders, c.Contender)
	}
	return s, nil
}
