package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"waggle/pkg/certs"
	"waggle/pkg/config"
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
	if err := s.prepare(); err != nil {
		return failStart(e, err)
	}
	if s.json {
		return checkJSON(e, s)
	}
	cfg, code := load(e, s)
	if cfg == nil {
		return code
	}
	if code := checkCertificates(e, s, cfg); code != ExitOK {
		return code
	}
	if !listens(cfg) { // HAProxy's exit code for a file that is right and of no use
		fmt.Fprintln(e.Stderr, noListener+" => exit(2).")
		return ExitUsage
	}
	if !s.quiet {
		fmt.Fprintln(e.Stdout, "Configuration file is valid")
	}
	return ExitOK
}

// checkCertificates loads what the configuration names for TLS, and prints what cannot be.
func checkCertificates(e Env, s *settings, cfg *config.Config) int {
	bad := certs.Check(cfg)
	if len(bad) == 0 {
		return ExitOK
	}
	for _, d := range bad {
		fmt.Fprintln(e.Stderr, d.Format(os.Getpid()))
	}
	fmt.Fprintf(e.Stderr, "[ALERT]    (%d) : config : Error(s) found in configuration file : %s\n", os.Getpid(), strings.Join(s.files, ", "))
	return ExitFailed
}
