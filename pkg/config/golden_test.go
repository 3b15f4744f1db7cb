package config

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waggle/pkg/lab/message"
)

var update = flag.Bool("update", false, "write the golden files")

// Every testdata/*.cfg has a .golden file beside it: the diagnostics, then the model or the errors.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.cfg")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := outcome(filepath.Base(file), content)
			golden := strings.TrimSuffix(file, ".cfg") + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if d := firstDifference(got, string(want)); d != "" {
				t.Errorf("%s (go test -update writes it anew)", d)
			}
		})
	}
}

func outcome(name string, content []byte) string {
	cfg, remarks, err := Parse(name, content, pure(map[string]string{"errors/503.http": "HTTP/1.1 503 Sorry\r\n\r\n", "nets.lst": "10.0.0.0/8\n"}))
	out := formatAll(remarks) + "--\n"
	var bad *Errors
	if errors.As(err, &bad) {
		return out + formatAll(bad.List)
	}
	return out + dump(cfg)
}

// The seed is published without a line feed at its end; HAProxy refuses it so, and we warn.
func TestSeedWithoutFinalLineFeed(t *testing.T) {
	content, err := os.ReadFile("testdata/seed.cfg")
	if err != nil {
		t.Fatal(err)
	}
	whole, _, err := Parse("seed.cfg", content, pure(nil))
	if err != nil {
		t.Fatal(err)
	}
	cut, remarks, err := Parse("seed.cfg", bytes.TrimRight(content, "\n"), pure(nil))
	if err != nil {
		t.Fatal(err)
	}
	if d := firstDifference(dump(cut), dump(whole)); d != "" {
		t.Errorf("the model differs: %s", d)
	}
	var warnings []Diagnostic
	for _, d := range remarks {
		if d.Severity == Warning {
			warnings = append(warnings, d)
		}
	}
	last := bytes.Count(bytes.TrimRight(content, "\n"), []byte("\n")) + 1
	if len(warnings) != 1 || warnings[0].Pos.Line != last {
		t.Errorf("warnings %v, want one about line %d", warnings, last)
		return
	}
	const want = "no line feed at the end of the last line: the file might have been truncated, and HAProxy would refuse it"
	if warnings[0].Text != want {
		t.Errorf("it says %q", warnings[0].Text)
	}
	message.Shown(t, want)
}

// The condition of the seed does what it says.
func TestSeedCondition(t *testing.T) {
	content, err := os.ReadFile("testdata/seed.cfg")
	if err != nil {
		t.Fatal(err)
	}
	cfg, _, err := Parse("seed.cfg", content, pure(nil))
	if err != nil {
		t.Fatal(err)
	}
	rule := cfg.Proxies[0].UseBackend[0]
	for uri, want := range map[string]bool{"/my-stats": true, "/MY-STATS": true, "/my-stats?;csv": true, "/my-stats;csv": false, "/": false} {
		if got := rule.Cond.Eval(getRequest{uri: uri}); got != want {
			t.Errorf("%s: %v, want %v", uri, got, want)
		}
	}
}

// The seeds are single sections: of a whole file the fuzzer would spend the minute that it takes to make each find
// smaller (-fuzzminimizetime), and try a few inputs in ten minutes.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.cfg")
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for section := range bytes.SplitSeq(content, []byte("\n\n")) {
			f.Add(append(section, '\n'))
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		cfg, remarks, err := Parse("f.cfg", content, pure(nil))
		_ = formatAll(remarks)
		if err == nil {
			_ = dump(cfg)
			return
		}
		var bad *Errors
		if !errors.As(err, &bad) || len(bad.List) == 0 {
			t.Fatalf("an error that lists nothing: %v", err)
		}
		_ = formatAll(bad.List)
	})
}
