package main

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/require"
	"waggle/test/program"
)

// TestMemoryOfCrowds has a few connections of two kinds come to waggle; what they take is more than nothing and less than all that may be.
func TestMemoryOfCrowds(t *testing.T) {
	requireTools(t)
	require.Tool(t, haproxy.name)
	files := t.TempDir()
	if err := writeFiles(files); err != nil {
		t.Fatal(err)
	}
	r := memoryRun{connections: 60, calm: 10 * time.Millisecond, progress: t.Output(), setting: setting{program: program.In(t), files: files, maxconn: 2000}}
	table, err := r.table(t.Context(), crowdMembers()[1:], []string{"tls", "h2-stream"})
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Rows) != 2 {
		t.Fatalf("got %q", table.Rows)
	}
	for _, row := range table.Rows {
		if took, err := strconv.Atoi(row[2]); err != nil || took <= 0 || took > 1<<20 || row[1] != "60" {
			t.Errorf("%q: implausible, %v", row, err)
		}
	}
}

func TestMemoryIsAskedFor(t *testing.T) {
	for args, want := range map[string]string{
		"memory -connections 0": "from 1 to",
		"memory -kinds idle,x":  "unknown \"x\"",
		"memory idle":           "no further words",
	} {
		var out strings.Builder
		if err := run(t.Context(), strings.Fields(args), &out, &out); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", args, err, want)
		}
	}
}
