package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "rewrite the expected output in testdata/script")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"waggle": func() { os.Exit(Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// TestScripts runs the command line as users do; each script is a short story.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("SOCK", fmt.Sprintf("@wg-cli-%d-%d", os.Getpid(), rand.Uint32())) // not that of another waggle
			seed, err := os.ReadFile("../../deploy/haproxy.cfg")
			if err != nil {
				return err
			}
			return os.WriteFile(env.Getenv("WORK")+"/seed.cfg", seed, 0o644)
		},
	})
}

// TestHelpFitsOneScreen holds --help to what a terminal shows at once.
func TestHelpFitsOneScreen(t *testing.T) {
	var out bytes.Buffer
	if code := Run(t.Context(), []string{"--help"}, nil, &out, &out); code != ExitOK {
		t.Fatalf("exit %d", code)
	}
	if lines := bytes.Count(out.Bytes(), []byte("\n")); lines > 50 {
		t.Errorf("%d lines", lines)
	}
	for line := range bytes.Lines(out.Bytes()) {
		if len(line) > 101 {
			t.Errorf("%d characters: %s", len(line)-1, line)
		}
	}
}
