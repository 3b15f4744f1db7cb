package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// envChanges is how many changes of DNS TestChangesOfDNSAreFollowed measures.
const envChanges = "WAGGLE_TEST_DNS_CHANGES"

// The seed resolves once a second, and tcpConfig checks every 200 ms. From a record's leaving DNS to the last new
// connection it is one cycle and 50 ms at most, for 99 of 100 changes; from a new record to its first connection one cycle
// and one check. Both are seen from a client, on both paths.
func TestChangesOfDNSAreFollowed(t *testing.T) {
	changes := 4
	if n, err := strconv.Atoi(os.Getenv(envChanges)); err == nil {
		changes = n
	}
	modes(t, func(t *testing.T, b *balancer, _ bool) {
		var all []netip.Addr
		for _, task := range b.Tasks("raw") {
			all = append(all, task.Addr())
		}
		gone, came := make([]time.Duration, 0, changes), make([]time.Duration, 0, changes)
		for i := range changes {
			left := i % len(all)
			name := fmt.Sprintf("hostname: raw-%d", left+1)
			rest := slices.Delete(slices.Clone(all), left, left+1)
			time.Sleep(time.Duration(i%7) * 137 * time.Millisecond) // at another moment of the cycle each time
			if err := b.DNS.Set("raw", rest...); err != nil {
				t.Fatal(err)
			}
			gone = append(gone, b.lastSeen(name, 1500*time.Millisecond))
			if err := b.DNS.Set("raw", all...); err != nil {
				t.Fatal(err)
			}
			came = append(came, b.firstSeen(name))
		}
		const cycle, check = time.Second, 200 * time.Millisecond
		t.Logf("%d changes: from record gone to the last connection %s; from record to the first connection %s", changes, quantiles(gone), quantiles(came))
		if p99 := quantile(gone, 0.99); p99 > cycle+50*time.Millisecond {
			t.Errorf("connections came for %v after a record had gone", p99)
		}
		if p99 := quantile(came, 0.99); p99 > cycle+check {
			t.Errorf("the first connection came %v after the record", p99)
		}
	})
}

// lastSeen connects again and again, and tells when the last connection began that reached a task, 0 for none.
func (b *balancer) lastSeen(name string, during time.Duration) (last time.Duration) {
	start := time.Now()
	for time.Since(start) < during {
		began := time.Since(start)
		got, err := b.rawName()
		if err != nil {
			b.t.Fatal(err)
		}
		if got == name {
			last = began
		}
	}
	return last
}

// firstSeen connects until a connection reaches a task.
func (b *balancer) firstSeen(name string) time.Duration {
	start := time.Now()
	for {
		began := time.Since(start)
		if got, err := b.rawName(); err == nil && got == name {
			return began
		}
		if began > 10*time.Second {
			b.t.Fatalf("%s was never reached", name)
		}
	}
}

func quantile(d []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(d))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

func quantiles(d []time.Duration) string {
	return fmt.Sprintf("median %v, p99 %v, most %v", quantile(d, 0.5).Round(time.Millisecond), quantile(d, 0.99).Round(time.Millisecond), quantile(d, 1).Round(time.Millisecond))
}
