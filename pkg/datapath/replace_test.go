package datapath

import (
	"slices"
	"sync"
	"testing"
)

// The servers of a service are replaced as a whole: whenever a SYN comes, it meets the old ones or the new ones.
func TestServersAreReplacedAtOnce(t *testing.T) {
	k := newKernel(t, Options{HalfOpenRing: 5000})
	all := oneService(6)
	some := func(from, to int) Desired {
		d := oneService(6)
		s := &d.Services[0]
		s.Servers, s.Schedule = slices.Clone(all.Services[0].Servers[from:to]), slices.Clone(all.Services[0].Schedule[from:to])
		return d
	}
	k.sync(t, some(0, 3))
	done := make(chan struct{})
	sent := 0
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			k.sendFrom(t, sent%50000, 100)
			sent += 100
		}
	})
	for i := range sized(200, 20) {
		k.sync(t, some(3*(1-i%2), 3*(1-i%2)+3))
	}
	close(done)
	wg.Wait()
	for reason, n := range k.reasons(t) {
		if n > 0 {
			t.Errorf("%d of %d SYNs were left to the socket: %s", n, sent, reason)
		}
	}
	if used := k.snapshot(t).Servers; len(used) != 6 || used[101].Connections == 0 || used[106].Connections == 0 {
		t.Errorf("%+v", used)
	}
}
