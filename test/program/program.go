// Package program has a test binary be waggle, so that tests run the whole program without building it anew.
package program

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"waggle/pkg/cli"
	"waggle/pkg/lab"
)

// env makes a test binary be waggle.
const env = "WAGGLE_TEST_PROGRAM"

// Main plays the part of waggle, or of an actor of a lab, and exits if this process was started for that; else it returns at
// once. TestMain calls it first.
func Main() {
	lab.Main()
	if os.Getenv(env) != "" {
		os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
}

// In is waggle with these arguments, for a host of a lab.
func In(t testing.TB, args ...string) lab.Command {
	t.Helper()
	return lab.Command{Argv: append([]string{self(t)}, args...), Env: []string{env + "=1"}}
}

// Command is waggle with these arguments, for this machine.
func Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(self(t), args...) //nolint:gosec // this program, with arguments of a test
	cmd.Env = append(os.Environ(), env+"=1")
	return cmd
}

func self(t testing.TB) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}
