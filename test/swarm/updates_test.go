package swarm

import (
	"testing"
	"time"

	"waggle/test/swarm/drive"
)

// TestUpdates is the short form of `make swarm-soak`: four rolling updates under load through waggle with the
// recommended configuration, HTTP in userspace and TCP in the kernel, and no request fails.
func TestUpdates(t *testing.T) {
	t.Parallel()
	needEngine(t)
	contenders := []drive.Contender{drive.Waggle()}
	stage, err := drive.Open(t.Context(), root, contenders, drive.Brief)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			showService(t, stage.Engine, contenders[0].Name)
		}
		if err := stage.Close(); err != nil {
			t.Errorf("close stage: %v", err)
		}
	})
	stage.Rest = time.Second
	acts := []drive.Act{
		drive.Update(drive.StopFirst, drive.Brief), drive.Update(drive.StartFirst, drive.Brief),
		drive.Update(drive.StopFirst, drive.Brief), drive.Update(drive.StartFirst, drive.Brief),
	}
	stopped := 0
	err = stage.Run(t.Context(), acts, func(r drive.Result) error {
		t.Log(r.Summary())
		for _, miss := range drive.Misses(r, contenders) {
			t.Error(miss)
		}
		stopped += r.Stopped
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := len(acts) * 3; stopped != want {
		t.Errorf("%d tasks tell of their SIGTERM, want %d: what reached the others is not known", stopped, want)
	}
	a := ask(t.Context(), stage.Engine, stage.StatsPort(0), "/metrics")
	for series, want := range map[string]func(float64) bool{
		`waggle_frontend_sessions_total{path="kernel",proxy="tcp_in"}`:    some,
		`waggle_frontend_sessions_total{path="userspace",proxy="tcp_in"}`: none,
	} {
		if value, ok := sample(a.body, series); !ok || !want(value) {
			t.Errorf("%s is %v (there: %v)", series, value, ok)
		}
	}
}
