package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// Sizes of a chart, in CSS pixels.
const (
	chartWidth  = 880
	labelWidth  = 230
	panelWidth  = 310
	panelGap    = 15
	valueWidth  = 60 // of the number to the right of the longest bar
	barHeight   = 16
	barStep     = 24
	titleHeight = 58
	chartTop    = 44
)

// chartStyle follows the reader's light or dark setting, which an SVG in an img element sees too.
const chartStyle = `<style>
text{font:13px system-ui,sans-serif;fill:#1f2328}.h{font-size:17px;font-weight:600}.s{font-size:14px;font-weight:600}.m{fill:#59636e;font-size:12px}
.b{fill:#8c959f}.w{fill:#b8860b}.e{stroke:#1f2328;stroke-width:1.5}.g{stroke:#d1d9e0}.c{fill:none;stroke:#b8860b;stroke-width:2}
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.m{fill:#9198a1}.b{fill:#656c76}.w{fill:#e3b341}.e{stroke:#e6edf3}.g{stroke:#3d444d}.c{stroke:#e3b341}}
</style>`

// Chart draws a suite's rates and CPU times in proportion to the baseline's as bars, one row of panels for each
// scenario: medians of the rounds' ratios, which are all that a machine with neighbours is good for. Bars whose
// contender's name begins with "waggle" stand out. The line across the end of a bar is the range between the
// quartiles, the one across all bars is the baseline.
func Chart(w io.Writer, s Suite, d Data) error {
	out := &svg{}
	y := float64(chartTop)
	for _, sc := range s.Scenarios {
		y = out.scenario(s, sc, d, y)
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %.0f" width="%d" height="%.0f" role="img">`+"\n", chartWidth, y, chartWidth, y)
	fmt.Fprintf(&b, "<title>%s</title>\n%s\n", escape(s.Title), chartStyle)
	fmt.Fprintf(&b, `<text class="h" x="10" y="26">%s</text>`+"\n", escape(s.Title))
	b.WriteString(out.body.String())
	b.WriteString("</svg>\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write chart: %w", err)
	}
	return nil
}

// svg collects elements.
type svg struct{ body strings.Builder }

func (o *svg) text(x, y float64, attributes, text string) {
	fmt.Fprintf(&o.body, `<text x="%.1f" y="%.1f"%s>%s</text>`+"\n", x, y, attributes, escape(text))
}

func (o *svg) bar(x, y, width float64, class string) {
	fmt.Fprintf(&o.body, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%d" rx="2"/>`+"\n", class, x, y, width, barHeight)
}

func (o *svg) line(x1, y1, x2, y2 float64) {
	fmt.Fprintf(&o.body, `<line class="e" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", x1, y1, x2, y2)
}

// scenario draws the panels of a scenario from y on, and returns where the next begins.
func (o *svg) scenario(s Suite, sc Scenario, d Data, y float64) float64 {
	var shown []Contender
	for _, c := range s.Contenders {
		if len(d.of(sc.Name, c.Name)) > 0 {
			shown = append(shown, c)
		}
	}
	if len(shown) == 0 {
		return y
	}
	o.text(10, y+20, ` class="s"`, sc.Title)
	for i, c := range shown {
		o.text(labelWidth-8, y+titleHeight+float64(i*barStep)+13, ` text-anchor="end"`, c.Title)
	}
	for i, p := range []struct {
		metric Metric
		title  string
	}{{Rate, "rate, more is better; 1 is %s " + sc.Unit.perSecond()}, {SystemCPU, "system CPU, less is better; 1 is %s µs/" + sc.Unit.String()}} {
		x := float64(labelWidth + i*(panelWidth+panelGap))
		o.text(x, y+44, ` class="m"`, fmt.Sprintf(p.title, number(d.spread(sc, s.Baseline, p.metric).Median)))
		ratios := make([]Spread, len(shown))
		for i, c := range shown {
			ratios[i] = d.ratio(sc, p.metric, c.Name, s.Baseline)
		}
		o.panel(x, y+titleHeight, shown, ratios)
	}
	return y + titleHeight + float64(len(shown)*barStep) + 14
}

func (o *svg) panel(x, y float64, shown []Contender, ratios []Spread) {
	most := 1.0
	for _, r := range ratios {
		if r.N > 0 {
			most = math.Max(most, r.Q3)
		}
	}
	scale := (panelWidth - valueWidth) / most
	for i, c := range shown {
		r, top := ratios[i], y+float64(i*barStep)
		if r.N == 0 {
			o.text(x+4, top+13, ` class="m"`, none)
			continue
		}
		class := "b"
		if strings.HasPrefix(c.Name, "waggle") {
			class = "w"
		}
		o.bar(x, top, r.Median*scale, class)
		const middle = barHeight / 2
		o.line(x+r.Q1*scale, top+middle, x+r.Q3*scale, top+middle)
		o.text(x+math.Max(r.Q3, 1)*scale+6, top+13, "", fmt.Sprintf("×%.2f", r.Median))
	}
	o.line(x+scale, y-4, x+scale, y+float64((len(shown)-1)*barStep)+barHeight+4)
}

func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes everything
	return b.String()
}
