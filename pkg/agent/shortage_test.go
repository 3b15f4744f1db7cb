package agent

import (
	"testing"
	"time"

	"waggle/pkg/stats"
)

// TestShortageWarnings: a shortage is on the statistics page for a minute.
func TestShortageWarnings(t *testing.T) {
	at := time.Now()
	n := stats.Shortages{Accepts: 3, Connects: 1, Last: at}
	if got := shortageWarnings(stats.Shortages{}, at); got != nil {
		t.Errorf("without a shortage: %q", got)
	}
	want := "Out of descriptors, memory or source ports within the last minute: 3 times a client had to wait, 1 times no connection to a server could be opened since the start."
	if got := shortageWarnings(n, at.Add(shortageNews)); len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := shortageWarnings(n, at.Add(shortageNews+1)); got != nil {
		t.Errorf("later: %q", got)
	}
}
