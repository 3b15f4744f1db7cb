package main

import (
	"context"
	"os"
	"testing"

	"go.uber.org/goleak"

	"waggle/pkg/cli"
	"waggle/pkg/lab"
)

// envMain makes this test binary be waggle.
const envMain = "WAGGLE_BENCH_MAIN"

func TestMain(m *testing.M) {
	lab.Main()
	if os.Getenv(envMain) != "" {
		os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}

// testProgram is waggle as the smoke tests run it.
func testProgram(t *testing.T) lab.Command {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return lab.Command{Argv: []string{self}, Env: []string{envMain + "=1"}}
}
