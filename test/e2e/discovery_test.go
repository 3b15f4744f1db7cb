package e2e

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
)

// envChanges is how many changes of DNS TestChangesOfDNSAreFollowed measures.
const envChanges = "WAGGLE_TEST_DNS_CHANGES"

// The seed resolves once a second, and tcpConfig checks every 200 ms. From a record's leaving DNS to the last new
// connection it is one cycle and 50 ms at most, for 99 of 100 changes; from a new record to its first connection one cycle
// and one check. Both are seen from a client, on both paths. Of a few changes a machine that stalls may spoil one.
func TestChangesOfDNSAreFollowed(t *testing.T) {
	changes, share := 4, 0.5
	if n, err := strconv.Atoi(os.Getenv(envChanges)); err == nil {
		changes, share = n, 0.99
	}
	modes(t, func(t *testing.T, b *balancer, _ bool) {
		gone, came := make([]time.Duration, 0, changes), make([]time.Duration, 0, changes)
		for i := range changes {
			old := b.Tasks("raw")[i%3]
			time.Sleep(time.Duration(i%7) * 137 * time.Millisecond) // at another moment of the cycle each time
			if err := b.DNS.Remove(old); err != nil {
				t.Fatal(err)
			}
			name := "hostname: " + old.Host.Name()
			gone = append(gone, b.lastSeen(name))
			b.replaced(old, name, &came)
		}
		const cycle, check = time.Second, 200 * time.Millisecond
		t.Logf("%d changes: from record gone to the last connection %s; from record to the first connection %s", changes, quantiles(gone), quantiles(came))
		if d := quantile(gone, share); d > cycle+50*time.Millisecond {
			t.Errorf("connections came for %v after a record had gone", d)
		}
		if d := quantile(came, share); d > cycle+check {
			t.Errorf("the first connection came %v after the record", d)
		}
	})
}

// replaced ends a task that has left DNS and starts another one in its place, at an address of its own, as Swarm does;
// addresses that come and go again would be taken for a rotation of a larger set.
func (b *balancer) replaced(old *lab.Task, name string, came *[]time.Duration) {
	b.t.Helper()
	now, cancel := context.WithCancel(b.t.Context())
	cancel()
	if err := old.Stop(now); err != nil {
		b.t.Fatal(err)
	}
	task, err := b.AddTask(labtest.Context(b.t), lab.TaskOptions{Service: "raw", Kind: lab.TCP, Hidden: true})
	if err != nil {
		b.t.Fatal(err)
	}
	if got := "hostname: " + task.Host.Name(); got != name {
		b.t.Fatalf("the task in its place is %s, want %s", got, name)
	}
	if err := task.Publish(); err != nil {
		b.t.Fatal(err)
	}
	*came = append(*came, b.firstSeen(name))
}

// lastSeen connects again and again until none reaches a task for more than a cycle, and tells when the last one began that did, 0 for
// none.
func (b *balancer) lastSeen(name string) (last time.Duration) {
	const quiet = 1300 * time.Millisecond
	start := time.Now()
	for time.Since(start) < last+quiet {
		began := time.Since(start)
		if began > patience {
			b.t.Fatalf("%s is still reached", name)
		}
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
		if began > patience {
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
