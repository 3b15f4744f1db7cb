// Package cli is waggle's command line: sub-words, HAProxy's flags, and waggle's own settings.
//
// HAProxy's one-dash flags are taken as HAProxy takes them, so that `haproxy -W -db -f FILE` in a stack
// file keeps working when only the image changes. What HAProxy does not have is a --long flag, each of
// which can also be given as an environment variable (WAGGLE_DATAPATH for --datapath).
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"waggle/pkg/config"
)

// Exit codes.
const (
	ExitOK     = 0
	ExitFailed = 1 // bad configuration, or it could not start
	ExitUsage  = 2 // bad flags
)

// Env is what a command may touch of the process around it.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) (string, bool)
}

// command is one sub-word.
type command struct {
	name, summary string
	run           func(ctx context.Context, e Env, args []string) int
}

func commands() []command {
	return []command{
		{"run", "balance (this is the default)", runCommand},
		{"check", "read the configuration, report every error, and exit", checkCommand},
		{"explain", "say which path serves each frontend, and why", explainCommand},
		{"completion", "print completions for bash, zsh or fish", completionCommand},
		{"demo", "build a small swarm on this machine and balance over it", demoCommand},
		{"flows", "list connections of the kernel path [frontend|server|client|state VALUE] [max N]", flowsCommand},
		{"healthcheck", "ask the running waggle whether it is alive", healthcheckCommand},
		{"stats", "print what the running waggle counts, as a table", statsCommand},
		{"sysdump", "write a support bundle without secrets to standard output", sysdumpCommand},
		{"top", "show what the running waggle does now [every SECONDS] [rounds N]", topCommand},
		{"trace", "say what would happen to a connection: trace CLIENT[:PORT] FRONTEND|ADDR:PORT", traceCommand},
		{"version", "print the version", versionCommand},
	}
}

// Run executes the command line args (without the program's name) and returns the exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return RunEnv(ctx, args, Env{Stdin: stdin, Stdout: stdout, Stderr: stderr, Getenv: os.LookupEnv})
}

// RunEnv is Run with the environment injected.
func RunEnv(ctx context.Context, args []string, e Env) int {
	if len(args) > 0 && args[0] == "haproxy" { // command: ["haproxy", "-f", …] of the official image
		args = args[1:]
	}
	if len(args) == 0 {
		usage(e.Stderr)
		return ExitUsage
	}
	if strings.HasPrefix(args[0], "-") {
		if args[0] == "--help" || args[0] == "-h" {
			usage(e.Stdout)
			return ExitOK
		}
		return runCommand(ctx, e, args)
	}
	if args[0] == "help" {
		usage(e.Stdout)
		return ExitOK
	}
	var names []string
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, e, args[1:])
		}
		names = append(names, c.name)
	}
	fmt.Fprintf(e.Stderr, "waggle: unknown command %q%s\n", args[0], didYouMean(args[0], names))
	return ExitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, `waggle balances over the tasks of Docker Swarm services, as an HAProxy configuration says.

Usage:
  waggle [run] -f FILE [flags]     waggle check -f FILE     waggle explain -f FILE

Commands:
`)
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-12s %s\n", c.name, c.summary)
	}
	fmt.Fprint(w, `
Flags (HAProxy's):
`)
	for _, f := range haproxyFlags() {
		fmt.Fprintf(w, "  %-12s %s\n", "-"+f.name+f.arg, f.doc)
	}
	fmt.Fprint(w, "  also taken: ")
	for _, f := range rareFlags() {
		fmt.Fprintf(w, " -%s", f.name)
	}
	fmt.Fprint(w, `

Flags (waggle's; each also as an environment variable, --dns-hold as WAGGLE_DNS_HOLD):
`)
	var folded strings.Builder
	for _, f := range ownFlags() {
		if f.rare() {
			fmt.Fprintf(&folded, " --%s", f.name)
			continue
		}
		fmt.Fprintf(w, "  %-28s %s\n", "--"+f.name+f.arg, f.doc)
	}
	fmt.Fprintf(w, "  also taken: %s\n", folded.String())
	fmt.Fprint(w, `
Examples:
  waggle -f /usr/local/etc/haproxy/haproxy.cfg
  waggle explain -f haproxy.cfg
`)
}

// usageError is a mistake on the command line.
type usageError struct{ text string }

func (u usageError) Error() string { return u.text }

// failUsage reports a mistake on the command line; the answer is the exit code.
func failUsage(e Env, err error) int {
	var u usageError
	if errors.As(err, &u) {
		fmt.Fprintf(e.Stderr, "waggle: %s\n", u.text)
		fmt.Fprintln(e.Stderr, "waggle: see waggle --help")
	} else {
		fmt.Fprintf(e.Stderr, "waggle: %v\n", err)
	}
	return ExitUsage
}

// didYouMean names the word that was probably meant, if there is one.
func didYouMean(word string, words []string) string {
	if best := config.Nearest(word, words); best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	return ""
}
