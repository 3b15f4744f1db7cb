// Command verdict runs go test and, if that fails, says at the very end once more what failed and why: the log of a test that runs whole
// programs is long, what failed stands before that of other packages, and who reads it later may have its end only.
//
//	go run ./test/verdict go test ./...
//
// All output is passed on as it comes, and the exit status is that of the command.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: verdict COMMAND [ARGUMENT…]")
		os.Exit(2)
	}
	os.Exit(run(os.Args[1:], os.Stdout))
}

// run runs a command whose output goes to out, with the verdict behind it, and returns its exit status.
func run(argv []string, out io.Writer) int {
	r := &reader{}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:gosec // what the Makefile says
	both := io.MultiWriter(out, r)            // one writer for both, so that exec gives them one pipe and keeps their order
	cmd.Stdout, cmd.Stderr = both, both
	err := cmd.Run()
	if err == nil {
		return 0
	}
	r.end()
	for _, line := range r.verdict() {
		fmt.Fprintln(out, line)
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode()
	}
	fmt.Fprintln(out, err)
	return 1
}
