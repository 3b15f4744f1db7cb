package proxy

import (
	"net/netip"
	"testing"
	"time"
)

// Sessions above the rate that a frontend takes wait in the accept queue, and each has its turn. However the seconds lie, two times
// the limit come within a second at most, and those in the second half of it spread over most of a second.
func TestRateLimit(t *testing.T) {
	const limit = 4
	w := start(t, []netip.AddrPort{named(t, "one")})
	fe := w.pool.Frontends[0]
	fe.Pace.SetLimit(limit)
	from := time.Now()
	for range 2*limit + 1 {
		if status, _ := w.dial().get("/"); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	if took := time.Since(from); took < 900*time.Millisecond {
		t.Errorf("%d sessions took %v", 2*limit+1, took)
	}
	eventually(t, "it is open again", func() bool { return fe.Held() == 0 })
}
