package stats

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWriteSamples writes the page to the directory in WAGGLE_STATS_SAMPLES, for a look at it in a
// browser.
func TestWriteSamples(t *testing.T) {
	dir := os.Getenv("WAGGLE_STATS_SAMPLES")
	if dir == "" {
		t.Skip("WAGGLE_STATS_SAMPLES names no directory to write sample pages to")
	}
	degraded := swarm()
	degraded.Datapath = Datapath{Mode: "off", Degraded: []string{"CAP_BPF is missing; add it to cap_add (Docker Engine 23 or later)."}}
	for name, s := range map[string]*Snapshot{"seed.html": swarm(), "crowd.html": crowd(40), "degraded.html": degraded} {
		r := NewPage(fixed{s}).Serve(statsProxy(), Request{Method: "GET", URI: "/my-stats"})
		if err := os.WriteFile(filepath.Join(dir, name), r.Body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
