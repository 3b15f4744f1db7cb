package main

import (
	"os"
	"strings"
	"testing"
)

func TestDocumentIsCurrent(t *testing.T) {
	const file = "../../../../docs/haproxy-compatibility.md"
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != document() {
		t.Errorf("%s is stale: run go generate ./pkg/config", file)
	}
}

func TestEveryTableRowHasCells(t *testing.T) {
	for line := range strings.SplitSeq(document(), "\n") {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.ReplaceAll(line, `\|`, "")
		if n := strings.Count(cells, "|"); n != 4 {
			t.Errorf("%d bars in %q, want 4", n, line)
		}
	}
}
