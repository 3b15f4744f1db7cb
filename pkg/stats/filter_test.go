package stats

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"waggle/pkg/pool"
)

func rowNames(rows []Row) []string {
	var names []string
	for i := range rows {
		names = append(names, rows[i].ProxyName()+"/"+rows[i].Name())
	}
	return names
}

func TestFilter(t *testing.T) {
	rising := func(s *Snapshot) { // a check of db/broken passes again
		s.Pool.Backends[2].Servers()[1].ReportCheck(pool.CheckResult{Status: pool.CheckL4OK})
	}
	tests := []struct {
		name   string
		filter Filter
		before func(*Snapshot)
		want   []string
	}{
		{"by name", Filter{Contains: "web"}, nil, []string{"web_service/web-1", "web_service/web-2", "web_service/web-3", "web_service/BACKEND"}},
		{"only some", Filter{Proxies: []string{"stat", "haproxyPractice"}}, nil, []string{"haproxyPractice/FRONTEND", "stat/BACKEND"}},
		{"by number", Filter{ProxyID: 4}, nil, []string{"stat/BACKEND"}},
		{"of a listen section", Filter{ProxyID: 5, Scopes: Frontends | Backends}, nil, []string{"db/FRONTEND", "db/BACKEND"}},
		{"up", Filter{Up: true, Scopes: Servers}, nil, []string{"web_service/web-1", "web_service/web-2", "db/plain", "db/drained", "db/spare"}},
		{"up, one is coming", Filter{Up: true, Contains: "db", Scopes: Servers}, rising, []string{"db/plain", "db/broken", "db/drained", "db/spare"}},
		{"no maintenance", Filter{NoMaint: true, Scopes: Servers}, nil, []string{"web_service/web-1", "web_service/web-2", "db/plain", "db/broken", "db/drained", "db/spare"}},
		{"one server", Filter{ByID: true, ID: 2, Contains: "db", Scopes: Servers}, nil, []string{"db/broken"}},
		{"nothing", Filter{Contains: "nope"}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := swarm()
			if tt.before != nil {
				tt.before(s)
			}
			if d := cmp.Diff(tt.want, rowNames(Rows(s, tt.filter))); d != "" {
				t.Errorf("rows (-want +got):\n%s", d)
			}
		})
	}
}

// TestBackendTellsWhatIsHidden: with servers left out, the backend's status says how many are up.
func TestBackendTellsWhatIsHidden(t *testing.T) {
	rows := Rows(swarm(), Filter{Up: true, Contains: "db", Scopes: Backends})
	if got := status(&rows[0]).String(); got != "UP (3/5)" {
		t.Errorf("status %q, want UP (3/5)", got)
	}
	rows = Rows(swarm(), Filter{Contains: "db", Scopes: Backends})
	if got := status(&rows[0]).String(); got != "UP" {
		t.Errorf("status %q, want UP", got)
	}
}

func TestTally(t *testing.T) {
	rows := Rows(swarm(), Filter{Contains: "db", Scopes: Backends})
	got := rows[0].Tally
	if got.Active != 1 || got.Backup != 1 || got.Total != 5 || got.Up != 3 || got.Weight != 1 {
		t.Errorf("tally %+v", got)
	}
	want := [len(serverStates)]int{stateDown: 1, stateUp: 2, stateMaint: 1, stateDrain: 1}
	if got.States != want {
		t.Errorf("states %v, want %v", got.States, want)
	}
	if got.Checks[pool.CheckL4Con] != 1 || got.Checks[pool.CheckL4OK] != 1 {
		t.Errorf("checks %v", got.Checks)
	}
}

// TestBackendWithoutUsableServer: a backend whose servers all drain is down, as in HAProxy.
func TestBackendWithoutUsableServer(t *testing.T) {
	s := swarm()
	for _, srv := range s.Pool.Backends[2].Servers() {
		srv.SetDrain(true)
	}
	rows := Rows(s, Filter{Contains: "db", Scopes: Backends})
	if got := status(&rows[0]).String(); got != "DOWN" {
		t.Errorf("status %q, want DOWN", got)
	}
}
