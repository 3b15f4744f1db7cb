package config

import "testing"

func TestEvaluateCondition(t *testing.T) {
	for condition, want := range map[string]bool{
		"version_atleast(2.4)": true, "version_atleast(9.4)": false, "1": true, "!1 || 1": true, "": false,
	} {
		if got, err := EvaluateCondition(condition, LoadOptions{}); got != want || err != nil {
			t.Errorf("%q: %v, %v; want %v", condition, got, err, want)
		}
	}
	for _, condition := range []string{"nope(1)", "1 &&", "version_atleast("} {
		if _, err := EvaluateCondition(condition, LoadOptions{}); err == nil {
			t.Errorf("%q was understood", condition)
		}
	}
}
