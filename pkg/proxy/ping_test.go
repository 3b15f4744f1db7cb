package proxy

import (
	"context"
	"net/netip"
	"testing"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// In a soft stop the loops without a session end. Those that go on are alive, and their sessions are shown.
func TestLoopsThatHaveEndedAreNotMissed(t *testing.T) {
	g := newGate(t)
	w := start(t, []netip.AddrPort{g.addr}, func(s *Setup, _, _ *config.Proxy) { s.Loops = 3 })
	c := w.dial()
	c.send("GET /1 HTTP/1.1\r\nHost: t\r\n\r\n")
	g.next(t)
	w.engine.SoftStop()
	eventually(t, "two loops have ended", func() bool {
		turn := 0
		for _, o := range w.engine.workers {
			if o.loop.Post(func() {}) {
				turn++
			}
		}
		return turn == 1
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.engine.Ping(ctx); err != nil {
		t.Error(err)
	}
	fe := w.pool.Frontends[0]
	fe.SetSwitch(pool.SwitchedOff)
	if err := w.engine.FollowSwitch(ctx, fe); err != nil {
		t.Error(err)
	}
	var id uint64
	if err := w.engine.Inspect(ctx, func(i SessionInfo) bool { id = i.ID; return true }); err != nil || id == 0 {
		t.Errorf("session %d, %v", id, err)
	}
	if found, err := w.engine.ShutdownSession(ctx, id); err != nil || !found {
		t.Errorf("it is found: %v, %v", found, err)
	}
	g.answer <- struct{}{} // to nobody
	<-w.engine.Done()
	if err := w.engine.Ping(ctx); err != nil { // the process goes on for the sake of the kernel path's flows
		t.Error(err)
	}
}
