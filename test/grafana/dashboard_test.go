// Package grafana tests the dashboard with Grafana's own schema. It is a module of its own, so that the balancer
// does not depend on it.
package grafana

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

const file = "../../deploy/grafana/waggle.json"

// load reads the dashboard as Grafana's import does: __requires is for the import alone.
func load(t *testing.T) map[string]json.RawMessage {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(content, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestDashboardFitsTheSchema(t *testing.T) {
	plugins.RegisterDefaultPlugins()
	all := load(t)
	delete(all, "__requires")
	content, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard.Dashboard
	// It answers with an error also when its list of errors is empty.
	var found cog.BuildErrors
	if err := d.UnmarshalJSONStrict(content); err != nil && (!errors.As(err, &found) || len(found) > 0) {
		t.Fatalf("the schema refuses the dashboard: %v", err)
	}
	if err := d.Validate(); err != nil {
		t.Errorf("the dashboard is not valid: %v", err)
	}
}

// TestPanelsDoNotOverlap looks at what the schema says nothing about.
func TestPanelsDoNotOverlap(t *testing.T) {
	var panels []struct {
		ID      int
		Title   string
		GridPos struct{ X, Y, W, H int }
	}
	if err := json.Unmarshal(load(t)["panels"], &panels); err != nil {
		t.Fatal(err)
	}
	type cell struct{ x, y int }
	taken, ids := map[cell]string{}, map[int]bool{}
	for _, p := range panels {
		if ids[p.ID] {
			t.Errorf("%q has the id %d of another panel", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("%q reaches beyond the 24 columns", p.Title)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				c := cell{p.GridPos.X + x, p.GridPos.Y + y}
				if other, ok := taken[c]; ok {
					t.Fatalf("%q covers %q", p.Title, other)
				}
				taken[c] = p.Title
			}
		}
	}
}
