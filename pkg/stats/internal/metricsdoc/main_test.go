package main

import (
	"os"
	"strings"
	"testing"

	"waggle/pkg/stats"
)

func TestDocumentIsCurrent(t *testing.T) {
	got, err := os.ReadFile("../../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != document() {
		t.Error("docs/metrics.md is stale: run go generate ./pkg/stats")
	}
}

func TestEveryMetricIsInADocumentOnce(t *testing.T) {
	text := document()
	for _, m := range stats.Metrics() {
		if n := strings.Count(text, "| `"+m.Name+"` |"); n != 1 {
			t.Errorf("%s stands %d times in the document, want once", m.Name, n)
		}
	}
}
