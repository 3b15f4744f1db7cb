package report

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
)

// rect is a bar as drawn.
type rect struct {
	class       string
	x, y, width float64
}

// drawn parses a chart: it must be well-formed.
func drawn(t *testing.T, chart string) (bars []rect, texts []string) {
	t.Helper()
	decoder := xml.NewDecoder(strings.NewReader(chart))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return bars, texts
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, chart)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if e.Name.Local == "rect" {
				bars = append(bars, readRect(t, e))
			}
		case xml.CharData:
			texts = append(texts, string(e))
		}
	}
}

func readRect(t *testing.T, e xml.StartElement) (r rect) {
	t.Helper()
	for _, a := range e.Attr {
		var err error
		switch a.Name.Local {
		case "class":
			r.class = a.Value
		case "x":
			r.x, err = strconv.ParseFloat(a.Value, 64)
		case "y":
			r.y, err = strconv.ParseFloat(a.Value, 64)
		case "width":
			r.width, err = strconv.ParseFloat(a.Value, 64)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestChart(t *testing.T) {
	var b strings.Builder
	if err := Chart(&b, twoByTwo(), measured().Samples); err != nil {
		t.Fatal(err)
	}
	bars, texts := drawn(t, b.String())
	if len(bars) != 2*2*2 {
		t.Fatalf("%d bars, want one for each contender, metric and scenario", len(bars))
	}
	base, ours := bars[0], bars[1] // rates of the first scenario
	if ratio := ours.width / base.width; math.Abs(ratio-1.6) > 0.01 || base.class != "b" || ours.class != "w" {
		t.Errorf("bars %+v and %+v, want 1 to 1.6, ours in its colour", base, ours)
	}
	for i, r := range bars {
		if r.x < labelWidth || r.x+r.width > chartWidth || r.width <= 0 {
			t.Errorf("bar %d is out of its place: %+v", i, r)
		}
		for _, other := range bars[:i] {
			if other.x == r.x && math.Abs(other.y-r.y) < barHeight {
				t.Errorf("bars %+v and %+v overlap", other, r)
			}
		}
	}
	all := strings.Join(texts, "\n")
	for _, want := range []string{"A & B", "Kept", "Bodies", "the base", "×1.60", "×0.70", "1 is 20,000 requests/s", "1 is 500 MB/s"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %q", want, all)
		}
	}
}

// TestChartOfLittle: whoever was not measured has no bar, and whoever has no ratio a dash.
func TestChartOfLittle(t *testing.T) {
	var b strings.Builder
	if err := Chart(&b, twoByTwo(), Data{requests("ka", "waggle", 1, 10)}); err != nil {
		t.Fatal(err)
	}
	bars, texts := drawn(t, b.String())
	all := strings.Join(texts, "\n")
	if len(bars) != 0 || strings.Contains(all, "the base") || strings.Contains(all, "Bodies") || !strings.Contains(all, none) {
		t.Errorf("bars %v, texts %q", bars, texts)
	}
}
