package stats

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// palettes reads the colours of both schemes out of the style sheet; what the dark one leaves out is as
// in the light one.
func palettes(t *testing.T) map[string]map[string]string {
	t.Helper()
	light, rest, ok := strings.Cut(pageStyle, "@media (prefers-color-scheme: dark)")
	dark, _, end := strings.Cut(rest, "\n}\n")
	if !ok || !end {
		t.Fatal("the style sheet has no dark scheme")
	}
	variable := regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6})\b`)
	all := map[string]map[string]string{"light": {}, "dark": {}}
	for _, m := range variable.FindAllStringSubmatch(light, -1) {
		all["light"][m[1]], all["dark"][m[1]] = m[2], m[2]
	}
	for _, m := range variable.FindAllStringSubmatch(dark, -1) {
		if all["light"][m[1]] == "" {
			t.Errorf("--%s is only there in the dark", m[1])
		}
		all["dark"][m[1]] = m[2]
	}
	return all
}

// luminance and contrast are those of WCAG 2.2.
func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	var l float64
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatalf("colour %q: %v", hex, err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return l
}

func contrast(t *testing.T, a, b string) float64 {
	la, lb := luminance(t, a), luminance(t, b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

// TestContrast: every text can be read on every ground that it is put on, in both schemes (WCAG AA).
func TestContrast(t *testing.T) {
	for scheme, colour := range palettes(t) {
		check := func(text, ground string) {
			t.Helper()
			if colour[text] == "" || colour[ground] == "" {
				t.Errorf("%s: no colour --%s or --%s", scheme, text, ground)
				return
			}
			if c := contrast(t, colour[text], colour[ground]); c < 4.5 {
				t.Errorf("%s: %s on %s has a contrast of %.2f", scheme, text, ground, c)
			}
		}
		grounds := []string{"ground", "card", "head"}
		for _, tone := range legend() {
			check(tone.Class, tone.Class+"-bg")
			grounds = append(grounds, tone.Class+"-bg") // rows have their tone's ground
		}
		for _, ground := range grounds {
			for _, text := range []string{"text", "dim", "bad", "warn"} {
				check(text, ground)
			}
		}
		for _, ground := range []string{"ground", "card", "head"} {
			check("link", ground)
			check("up", ground) // the word "kernel"
		}
		check("text", "faint")
		check("ink", "honey")
	}
}

// TestEveryToneHasAStyle: a state without a rule would have no colour at all.
func TestEveryToneHasAStyle(t *testing.T) {
	seen := map[string]bool{}
	for _, tone := range legend() {
		if !strings.Contains(pageStyle, ".t-"+tone.Class+" {") {
			t.Errorf("no style for %s", tone.Class)
		}
		if tone.Word == "" || tone.Long == "" || tone.Count == "" || seen[tone.Class] {
			t.Errorf("tone %+v", tone)
		}
		seen[tone.Class] = true
	}
}
