package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"waggle/pkg/lab/require"
)

const dir = "../../../../docs/man/"

func TestPagesAreCurrent(t *testing.T) {
	for file, made := range map[string]string{"waggle.1": commandPage(), "waggle.cfg.5": configPage()} {
		got, err := os.ReadFile(dir + file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != made {
			t.Errorf("%s is stale: run go generate ./pkg/cli ./pkg/config", file)
		}
	}
}

// TestPagesAreGoodMdoc has mandoc read the pages.
func TestPagesAreGoodMdoc(t *testing.T) {
	mandoc := require.Tool(t, "mandoc")
	for _, file := range []string{"waggle.1", "waggle.cfg.5"} {
		out, err := exec.Command(mandoc, "-T", "lint", "-W", "warning", dir+file).CombinedOutput()
		if err != nil || len(out) > 0 {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
}

// TestNothingIsLostInEscaping: what is between the macros is readable again.
func TestNothingIsLostInEscaping(t *testing.T) {
	mandoc := require.Tool(t, "mandoc")
	p := header("x", 1, "y")
	p.macro("Sh DESCRIPTION")
	p.text(".if \\ and 'quotes' \"double\" -- dashes")
	p.macro("Bl -tag -width Ds")
	p.item(`say "what" \n`, "'so")
	p.macro("El")
	cmd := exec.Command(mandoc, "-T", "ascii")
	cmd.Stdin = strings.NewReader(p.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	text := string(bytes.ReplaceAll(out, []byte("\b"), nil))
	for _, want := range []string{`.if \ and 'quotes' "double" -- dashes`, `say "what" \n`, "'so"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}
