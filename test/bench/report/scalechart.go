package report

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// Sizes of the panels of ScaleChart, in CSS pixels.
const (
	scaleLeft   = 60
	scaleWidth  = 250
	scaleGap    = 190 // room for the names of lines
	scaleTop    = 90
	scaleHeight = 220
)

// ScaleChart draws what setting up a connection costs by the number of servers, and what a packet costs by the number of live
// flows: medians, over a logarithmic axis. It says false if neither was measured.
func ScaleChart(w io.Writer, r Results) (bool, error) {
	all, _ := scalings(r.Packets)
	servers, flows := split(all)
	servers = slices.DeleteFunc(servers, func(s scaling) bool { return s.Unit != "ns/SYN" || strings.HasSuffix(s.Case, "-flood") })
	if len(servers) == 0 && len(flows) == 0 {
		return false, nil
	}
	out := &svg{}
	x := float64(scaleLeft)
	for _, p := range []struct {
		title, axis string
		lines       []scaling
	}{{"A SYN, by balance", "servers", servers}, {"A packet of an established flow", "live flows", flows}} {
		if len(p.lines) > 0 {
			out.curves(x, p.title, p.axis, p.lines)
			x += scaleWidth + scaleGap
		}
	}
	const height = scaleTop + scaleHeight + 50
	title := "What the eBPF program takes, in ns"
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n<title>%s</title>\n%s\n"+
		`<text class="h" x="10" y="26">%s</text>`+"\n%s</svg>\n", chartWidth, height, chartWidth, height, escape(title), chartStyle, escape(title), out.body.String())
	if err != nil {
		err = fmt.Errorf("write chart: %w", err)
	}
	return true, err
}

// curves draws a panel whose left edge is at x.
func (o *svg) curves(x float64, title, axis string, lines []scaling) {
	columns := numbers(lines)
	top := 0.0
	for _, l := range lines {
		for _, values := range l.Values {
			top = math.Max(top, SpreadOf(values).Median)
		}
	}
	if top == 0 {
		return
	}
	step := math.Pow(10, math.Floor(math.Log10(top)))
	for top/step < 4 {
		step /= 2
	}
	for top/step > 8 {
		step *= 2
	}
	span := math.Log(float64(columns[len(columns)-1]) / float64(columns[0]))
	across := func(n int) float64 {
		if span == 0 {
			return x
		}
		return x + scaleWidth*math.Log(float64(n)/float64(columns[0]))/span
	}
	up := func(v float64) float64 { return scaleTop + scaleHeight*(1-v/top) }
	o.text(x, scaleTop-30, ` class="s"`, title)
	for v := 0.0; v <= top; v += step {
		fmt.Fprintf(&o.body, `<line class="g" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`+"\n", x, up(v), x+scaleWidth, up(v))
		o.text(x-6, up(v)+4, ` class="m" text-anchor="end"`, grouped(int(v)))
	}
	for _, n := range columns {
		o.text(across(n), scaleTop+scaleHeight+18, ` class="m" text-anchor="middle"`, grouped(n))
	}
	o.text(x+scaleWidth/2, scaleTop+scaleHeight+36, ` class="m" text-anchor="middle"`, axis)
	var names []curveName
	for _, l := range lines {
		var points []string
		end := 0.0
		for _, n := range columns {
			if values := l.Values[n]; len(values) > 0 {
				end = up(SpreadOf(values).Median)
				points = append(points, fmt.Sprintf("%.1f,%.1f", across(n), end))
			}
		}
		fmt.Fprintf(&o.body, `<polyline class="c" points="%s"/>`+"\n", strings.Join(points, " "))
		name, _, _ := strings.Cut(l.title(), ",")
		if l.live() {
			name = ""
		}
		r := l.ratio(columns[len(columns)-1], columns[0])
		names = append(names, curveName{end, strings.TrimSpace(fmt.Sprintf("%s ×%.2f", name, r.Median))})
	}
	for _, n := range spread(names) {
		o.text(x+scaleWidth+8, n.y+4, "", n.text)
	}
}

// curveName stands at the end of a line.
type curveName struct {
	y    float64
	text string
}

// spread moves names up until none covers another, the lowest stays.
func spread(names []curveName) []curveName {
	slices.SortStableFunc(names, func(a, b curveName) int { return cmp.Compare(b.y, a.y) })
	for i := 1; i < len(names); i++ {
		names[i].y = math.Min(names[i].y, names[i-1].y-16)
	}
	return names
}
