package cli

import (
	"context"
	"fmt"
)

// checkCommand is `waggle check`, the same as -c.
func checkCommand(_ context.Context, e Env, args []string) int {
	s, err := parseFlags(e, args)
	if err != nil {
		return failUsage(e, err)
	}
	return check(e, s)
}

func check(e Env, s *settings) int {
	cfg, code := load(e, s)
	if cfg == nil {
		return code
	}
	if !s.quiet {
		fmt.Fprintln(e.Stdout, "Configuration file is valid")
	}
	return ExitOK
}
