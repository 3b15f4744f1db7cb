package datapath

import "testing"

// What an alert goes by: a reason is either daily life or worth a look.
func TestReasonsSayWhetherTheyAreNormal(t *testing.T) {
	expected := make(map[string]bool)
	for _, r := range Reasons() {
		expected[r.Name] = r.Expected
	}
	for name, want := range map[string]bool{"no_flow": true, "queued": true, "stale": false, "rewrite": false, "table_full": false} {
		if got, ok := expected[name]; !ok || got != want {
			t.Errorf("%s: expected %v (known %v), want %v", name, got, ok, want)
		}
	}
}
