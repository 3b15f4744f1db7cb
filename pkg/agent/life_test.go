package agent

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/config"
)

// TestGraceDelaysTheSoftStop: readiness is off at once, the stop comes later, and a hard stop does not wait.
func TestGraceDelaysTheSoftStop(t *testing.T) {
	for _, tc := range []struct {
		name  string
		grace time.Duration
		hard  time.Duration // 0 = no SIGTERM
		soft  bool          // the soft stop goes on
		after time.Duration
	}{
		{"no grace", 0, 0, true, 0},
		{"grace", 10 * time.Second, 0, true, 10 * time.Second},
		{"SIGTERM in the grace time", 10 * time.Second, 3 * time.Second, false, 3 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := &Agent{log: slog.New(slog.DiscardHandler)}
				a.current.Store(&generation{cfg: &config.Config{Global: config.Global{Grace: tc.grace}}})
				s := &signals{hard: make(chan os.Signal, 1)}
				if tc.hard > 0 {
					time.AfterFunc(tc.hard, func() { s.hard <- unix.SIGTERM })
				}
				begun := time.Now()
				if got := a.grace(context.Background(), s); got != tc.soft {
					t.Errorf("goes on: %v", got)
				}
				if d := time.Since(begun); d != tc.after {
					t.Errorf("after %v, want %v", d, tc.after)
				}
				if a.stopping.Load() != (tc.grace > 0) {
					t.Error("readiness is wrong")
				}
			})
		})
	}
}
