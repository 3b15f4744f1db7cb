package report

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.00", 0.994: "0.99", 9.99: "9.99", 9.996: "10.0", 42.04: "42.0", 99.96: "100", 999.6: "1,000", 12345.6: "12,346",
		1_000_000: "1,000,000", 1_000_999: "1,000,999", -1234: "-1,234", math.Inf(1): "–",
	} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %q, want %q", v, got, want)
		}
	}
	if got := number(math.NaN()); got != "–" {
		t.Errorf("no number is %q", got)
	}
}

func TestTables(t *testing.T) {
	table := &Table{Header: []string{"", "µs", "long header"}}
	table.Add("a|b", "1.00", "–")
	table.Add("contender", "12,345 [1–2]", "")
	var text, markdown strings.Builder
	table.Text(&text)
	table.Markdown(&markdown)
	const wantText = "" +
		"                       µs  long header\n" +
		"  a|b                1.00            –\n" +
		"  contender  12,345 [1–2]\n"
	if text.String() != wantText {
		t.Errorf("text:\n%s\nwant:\n%s", text.String(), wantText)
	}
	const wantMarkdown = "" +
		"|  | µs | long header |\n" +
		"|:---|---:|---:|\n" +
		"| a\\|b | 1.00 | – |\n" +
		"| contender | 12,345 [1–2] |  |\n"
	if markdown.String() != wantMarkdown {
		t.Errorf("markdown:\n%s\nwant:\n%s", markdown.String(), wantMarkdown)
	}
}

// measured has seven rounds in which waggle is 1.6 times the base, the machine slower every time, and bodies
// cost waggle between 0.4 and 1 of the base's CPU.
func measured() Results {
	r := Results{Run: Run{Suite: "s", Command: "go run ./test/bench s", Machine: "Linux, 2 CPUs", Versions: []string{"haproxy 1.2"},
		Started: time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC), Rounds: 7}}
	for round := 1; round <= 7; round++ {
		slow, share := int64(8-round), 1-0.001*float64(round-1)
		r.Samples = append(r.Samples,
			Sample{Scenario: "ka", Contender: "b", Round: round, Seconds: 2, Requests: 10_000 * slow, SystemCPU: 2, P50: 1000, P99: 2000},
			Sample{Scenario: "ka", Contender: "waggle", Round: round, Seconds: 2, Requests: 16_000 * slow, SystemCPU: 2, OwnCPU: 1,
				OwnMemory: 3 << 20, P50: 500, P99: 2100, KernelShare: &share},
			Sample{Scenario: "big", Contender: "b", Round: round, Seconds: 2, Bytes: 1e9, SystemCPU: 2},
			Sample{Scenario: "big", Contender: "waggle", Round: round, Seconds: 2, Bytes: 1e9, SystemCPU: 0.6 + 0.2*float64(round), Errors: 1},
		)
	}
	return r
}

func TestText(t *testing.T) {
	var b strings.Builder
	Text(&b, twoByTwo(), measured())
	for _, want := range []string{
		"\nKept\n", "requests/s", "\nBodies\n", "MB/s",
		"32,000 [20,000–44,000]", "×1.60 [1.60–1.60]", "31.2 [22.9–52.1]", "×0.62 [0.62–0.62]", // waggle, ka
		"×0.70 [0.55–0.85]",
		"Kept, rate: waggle to the base", "≥ 1.50", "met",
		"Bodies, system CPU: waggle to the base", "≤ 0.50", "MISSED",
		"7 in all", "worst round", "kernel path carried 99.40 %",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	for line := range strings.Lines(b.String()) {
		if strings.HasPrefix(line, "  waggle ") && strings.Contains(line, "500 [500–500]") && !strings.HasSuffix(line, " 7\n") {
			t.Errorf("the errors of all rounds are not at the end of %q", line)
		}
	}
	if strings.Contains(b.String(), "do not quote") {
		t.Error("a quiet machine is called loud")
	}
}

func TestCaveats(t *testing.T) {
	r := measured()
	for i := range r.Samples {
		r.Samples[i].Background = 0.4 * float64(i%2)
	}
	r.Failures = []Failure{{Contender: "b", Round: 3, Error: "fell over"}}
	var b strings.Builder
	Text(&b, twoByTwo(), r)
	for _, want := range []string{"20.0 % of the CPUs were busy", "do not quote", `Round 3 without "the base": fell over`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestMarkdown(t *testing.T) {
	var b strings.Builder
	Markdown(&b, twoByTwo(), measured(), "bench-s.svg")
	for _, want := range []string{"Made by `go run ./test/bench s` on 23 November 2026.", "- Linux, 2 CPUs\n", "- haproxy 1.2\n",
		"![A & B](bench-s.svg)\n", "\n### Kept\n\n|", "| waggle | 32,000 "} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestReplace(t *testing.T) {
	const document = "# Title\n<!-- begin l4 -->\nold\n<!-- end l4 -->\nrest\n<!-- begin http -->\n<!-- end http -->\n"
	const want = "# Title\n<!-- begin l4 -->\nnew\nlines\n<!-- end l4 -->\nrest\n<!-- begin http -->\n<!-- end http -->\n"
	got, err := Replace(document, "l4", "\nnew\nlines\n\n")
	if err != nil || got != want {
		t.Errorf("got %v\n%s", err, got)
	}
	if again, err := Replace(got, "l4", "new\nlines"); err != nil || again != want {
		t.Errorf("again: %v\n%s", err, again)
	}
	for _, broken := range []string{"", "<!-- begin l4 -->\n", "<!-- end l4 -->\n<!-- begin l4 -->\n", "<!-- begin l4 --><!-- end l4 -->"} {
		if got, err := Replace(broken, "l4", "x"); err == nil {
			t.Errorf("%q became %q", broken, got)
		}
	}
}
