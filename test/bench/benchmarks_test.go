package main

import (
	"io"
	"strconv"
	"strings"
	"testing"

	"waggle/pkg/lab/require"
)

func TestOnly(t *testing.T) {
	if got, want := only("Setup/random"), "^BenchmarkSetup$/^random$"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Each part of a benchmark runs as often as asked for, in rounds: a process runs one part, once, or fewer lines would be there.
func TestEachBenchmarkHasItsProcess(t *testing.T) {
	require.Root(t)
	var progress strings.Builder
	err := run(t.Context(), strings.Fields("packets -bench Lookup -benchtime 100x -count 2"), io.Discard, &progress)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(progress.String()) {
		fields := strings.Fields(line)
		name := strings.TrimPrefix(fields[0], "BenchmarkLookup/")
		if at := strings.LastIndexByte(name, '-'); at > 0 { // the CPUs
			if _, err := strconv.Atoi(name[at+1:]); err == nil {
				name = name[:at]
			}
		}
		got = append(got, name)
	}
	if want := "key_of_12_bytes key_of_36_bytes key_of_12_bytes key_of_36_bytes"; strings.Join(got, " ") != want {
		t.Errorf("ran %q, want %q", got, want)
	}
	if err := run(t.Context(), strings.Fields("packets -bench Nothing"), io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), `no benchmark matched "Nothing"`) {
		t.Errorf("error %v", err)
	}
}
