package runtimeapi

import (
	"strings"
	"testing"
)

// FuzzLine makes sure that no line crashes the server, and that every answer ends as answers do.
func FuzzLine(f *testing.F) {
	for _, seed := range []string{"", "\n", ";", ";;", `\`, `a\;b;c`, "show stat -1 4 2 up json", "show stat web -9 x",
		"set weight web/one -5%", "set server web/#1 state maint", "help a b", "get weight /", "prompt i;;", "show resolvers docker x"} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	f.Fuzz(func(t *testing.T, line string, interactive bool) {
		c := &session{server: New(fixed{balancer()}, Options{}), level: Admin, interactive: interactive}
		out := answersTo(c, line)
		if out != "" && !strings.HasSuffix(out, "\n") && !strings.HasSuffix(out, "> ") {
			t.Errorf("%q answers %q", line, out)
		}
		for _, words := range split(line) {
			for _, w := range words {
				if w == "" {
					t.Errorf("%q has an empty word", line)
				}
			}
		}
	})
}
