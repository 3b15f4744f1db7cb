package stats

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWriteSamples renders each kind of page, and writes them to the directory in WAGGLE_STATS_SAMPLES, if
// that is set, for a look at them in a browser.
func TestWriteSamples(t *testing.T) {
	dir := os.Getenv("WAGGLE_STATS_SAMPLES")
	if dir == "" {
		dir = t.TempDir()
	}
	degraded := swarm()
	degraded.Datapath = Datapath{Mode: "off", Degraded: []string{"CAP_BPF is missing; add it to cap_add (Docker Engine 23 or later)."}}
	for name, s := range map[string]*Snapshot{"seed.html": swarm(), "crowd.html": crowd(40), "degraded.html": degraded} {
		r := NewPage(fixed{s}).Serve(statsProxy(), Request{Method: "GET", URI: "/my-stats"})
		if r.Status != 200 || !strings.HasSuffix(string(r.Body), "</html>\n") {
			t.Errorf("%s: status %d, ends %.100q", name, r.Status, r.Body[max(0, len(r.Body)-100):])
		}
		if err := os.WriteFile(filepath.Join(dir, name), r.Body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
