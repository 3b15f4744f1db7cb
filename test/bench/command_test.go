package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"waggle/test/bench/report"
)

// rawFile writes raw values of two contenders.
func rawFile(t *testing.T, suite string) string {
	t.Helper()
	r := report.Results{Run: report.Run{Suite: suite, Command: "go run ./test/bench l4", Machine: "a machine"}}
	for _, contender := range []string{"plain", "waggle-kernel"} {
		r.Samples = append(r.Samples, report.Sample{Suite: suite, Scenario: "close", Contender: contender, Round: 1, Seconds: 1, Requests: 7000, SystemCPU: 2})
	}
	file := filepath.Join(t.TempDir(), "raw.jsonl")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, l := range r.Lines() {
		if err := l.Write(f); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

func TestDocsAreMadeFromRawValues(t *testing.T) {
	docs, chart := t.TempDir(), filepath.Join(t.TempDir(), "chart.svg")
	const before = "# Performance\n\n<!-- begin l4 -->\n<!-- end l4 -->\n\nThe end.\n"
	page := filepath.Join(docs, "performance.md")
	if err := os.WriteFile(page, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"l4", "-contenders", "plain,waggle-kernel", "-from", rawFile(t, "l4"), "-docs", docs, "-svg", chart}
	var table strings.Builder
	if err := run(t.Context(), args, &table, io.Discard); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "waggle, kernel path") {
		t.Errorf("table:\n%s", table.String())
	}
	for file, want := range map[string]string{
		page:                                  "| waggle, kernel path | 7,000 [7,000–7,000] |",
		chart:                                 "<svg ",
		filepath.Join(docs, "bench-l4.svg"):   "<svg ",
		filepath.Join(docs, "bench-l4.jsonl"): `"contender":"waggle-kernel"`,
	} {
		text, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s: %v, no %q in\n%s", file, err, want, text)
		}
	}
	if text, _ := os.ReadFile(page); !strings.HasPrefix(string(text), "# Performance\n") || !strings.HasSuffix(string(text), "\nThe end.\n") {
		t.Errorf("the rest of the page changed:\n%s", text)
	}
}

// TestDocsOfHalfAMeasurementAreNotWritten: numbers without all contenders must not replace good ones.
func TestDocsOfHalfAMeasurementAreNotWritten(t *testing.T) {
	docs := t.TempDir()
	err := run(t.Context(), []string{"l4", "-from", rawFile(t, "l4"), "-docs", docs}, io.Discard, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "nftables DNAT was never measured") {
		t.Errorf("got %v", err)
	}
	if files, _ := os.ReadDir(docs); len(files) > 0 {
		t.Errorf("written: %v", files)
	}
	if err := run(t.Context(), []string{"l7", "-from", rawFile(t, "l4")}, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), `of "l4", not "l7"`) {
		t.Errorf("raw values of another suite: %v", err)
	}
}

// TestThePageHasAPlaceForEverything that the program writes.
func TestThePageHasAPlaceForEverything(t *testing.T) {
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"l4", "l7", packetsSuite} {
		if _, err := report.Replace(string(page), name, "x"); err != nil {
			t.Error(err)
		}
	}
}
