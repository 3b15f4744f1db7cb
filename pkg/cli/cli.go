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
	usage         string   // what follows its name
	about         string   // some sentences; "" for none
	flags         []string // that its help lists
	examples      []string
	run           func(ctx context.Context, e Env, args []string) int
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
		if len(args) == 1 {
			usage(e.Stdout)
			return ExitOK
		}
		if args = args[1:]; help(e.Stdout, args[0]) {
			return ExitOK
		}
	}
	var names []string
	for _, c := range commands() {
		if c.name == args[0] {
			if asksForHelp(args[1:]) {
				c.help(e.Stdout)
				return ExitOK
			}
			return c.run(ctx, e, args[1:])
		}
		names = append(names, c.name)
	}
	fmt.Fprintf(e.Stderr, "waggle: unknown command %q%s\n", args[0], didYouMean(args[0], names))
	return ExitUsage
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
