package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"

	"waggle/pkg/lab/labtest"
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
			env.Setenv("PORT", strconv.Itoa(int(labtest.FreeAddr(t).Port())))
			seed, err := os.ReadFile("../../deploy/haproxy.cfg")
			if err != nil {
				return err
			}
			return os.WriteFile(env.Getenv("WORK")+"/seed.cfg", seed, 0o644)
		},
	})
}

// TestHelpFitsOneScreen holds the help on everything and on each command to what the smallest terminal shows at once, with
// room for the prompt.
func TestHelpFitsOneScreen(t *testing.T) {
	helps := [][]string{{"--help"}, {"-h"}, {"help"}}
	for _, c := range commands() {
		helps = append(helps, []string{"help", c.name}, []string{c.name, "--help"}, []string{c.name, "-h"})
	}
	for _, args := range helps {
		var out, bad bytes.Buffer
		if code := Run(t.Context(), args, nil, &out, &bad); code != ExitOK || bad.Len() > 0 {
			t.Fatalf("%q: exit %d %s", args, code, &bad)
		}
		if lines := bytes.Count(out.Bytes(), []byte("\n")); lines > 23 {
			t.Errorf("%q: %d lines", args, lines)
		}
		fits(t, out.Bytes())
		if !bytes.Contains(out.Bytes(), []byte("Example")) {
			t.Errorf("%q has no example", args)
		}
	}
}

func fits(t *testing.T, text []byte) {
	t.Helper()
	for line := range bytes.Lines(text) {
		if n := utf8.RuneCount(line) - 1; n > screenColumns {
			t.Errorf("%d characters: %s", n, line)
		}
	}
}

// TestHelpIsComplete finds every flag in the help on flags, every command in the help on everything, and in each example a
// command line that is understood.
func TestHelpIsComplete(t *testing.T) {
	var all, flags bytes.Buffer
	usage(&all)
	helpFlags(&flags)
	fits(t, flags.Bytes())
	for _, f := range ownFlags() {
		if !bytes.Contains(flags.Bytes(), []byte("--"+f.name+f.arg)) {
			t.Errorf("--%s is not in the help", f.name)
		}
	}
	for _, f := range append(haproxyFlags(), rareFlags()...) {
		if !bytes.Contains(flags.Bytes(), []byte("  -"+f.name+f.arg)) {
			t.Errorf("-%s is not in the help", f.name)
		}
	}
	for _, c := range commands() {
		if !bytes.Contains(all.Bytes(), []byte("  "+c.name+" ")) {
			t.Errorf("%s is not in the help", c.name)
		}
		for _, name := range c.flags {
			if _, ok := flagNamed(name); !ok {
				t.Errorf("%s lists %s, which is no flag", c.name, name)
			}
		}
		for _, e := range c.examples {
			if !strings.Contains(e, "waggle") || c.name != "run" && !strings.Contains(e, "waggle "+c.name) {
				t.Errorf("%s has an example of something else: %s", c.name, e)
			}
			for word := range strings.FieldsSeq(e) {
				if !strings.HasPrefix(word, "--") || word == "--" || c.name == "demo" {
					continue
				}
				if _, _, _, err := lookUp(word); err != nil {
					t.Errorf("%s: %v", e, err)
				}
			}
		}
	}
	if _, err := demoOptions([]string{"--once", "--tasks=8", "--", "--datapath=off"}); err != nil {
		t.Error(err)
	}
}

// What stands behind -- is another command's.
func TestHelpOfTheCommandOnly(t *testing.T) {
	if asksForHelp([]string{"--once", "--", "--help"}) || !asksForHelp([]string{"-f", "x", "--help"}) {
		t.Error("--help is looked for in the wrong place")
	}
}
