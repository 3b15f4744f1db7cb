package main

import (
	"strings"
	"testing"

	"waggle/pkg/lab/require"
	"waggle/test/csource"
)

// Each condition has a probe for both outcomes, whatever it is inside of, each switch one for each label and one for none, and the text
// stays what it was otherwise.
func TestInstrument(t *testing.T) {
	require.Tool(t, csource.Compiler)
	s, err := csource.Read("testdata", []string{"sample.c"}, []string{"-O2"})
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := s.Decisions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range outcomes(decisions) {
		got = append(got, o.decision.Function+": "+o.decision.Text+": "+o.result)
	}
	want := `
pick: a > LIMIT(2): true
pick: a > LIMIT(2): false
pick: b: true
pick: b: false
pick: (a ? b : -b) > 1: true
pick: (a ? b : -b) > 1: false
pick: a: true
pick: a: false
pick: i < 3: true
pick: i < 3: false
pick: kind(a): 1
pick: kind(a): LIMIT(2)
pick: kind(a): other`
	if strings.Join(got, "\n") != strings.TrimSpace(want) {
		t.Errorf("outcomes:\n%s\nwant%s", strings.Join(got, "\n"), want)
	}
	files := instrument(s, decisions)
	for _, line := range []string{
		"#include \"wg_cover.h\"\n",
		"	if (WG_COND(0, a > LIMIT(2)) && !(WG_COND(2, b) || WG_COND(4, (WG_COND(6, a) ? b : -b) > 1)))\n",
		"	for (i = 0; WG_COND(8, i < 3); i++)\n",
		"	switch (({ __auto_type wg_operand = (kind(a)); if (wg_operand == (1)) WG_SEEN(10); else if (wg_operand == (LIMIT(2))) WG_SEEN(11); else WG_SEEN(12); wg_operand; })) {\n",
	} {
		if !strings.Contains(files["sample.c"], line) {
			t.Errorf("no %q in\n%s", line, files["sample.c"])
		}
	}
	if !strings.Contains(files["wg_cover.h"], "wg_cover[13]") {
		t.Errorf("%s", files["wg_cover.h"])
	}
}
