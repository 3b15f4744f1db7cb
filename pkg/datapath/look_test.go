package datapath

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The program shows what is due and hardly anything else; without it the collector finds the same by reading all.
func TestLookShowsWhatIsDue(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	if k.obj.look == nil && !errors.Is(k.obj.noLook, unix.EPERM) {
		t.Fatalf("the program that looks at flows is not attached, although this kernel is not one that was hardened: %v", k.obj.noLook)
	}
	const n = 5000
	k.fill(t, n)
	c := k.collector(Timeouts{Client: time.Hour})
	see := func(later time.Duration) (seen, due int) {
		t.Helper()
		now := monotonicNow() + uint64(later)
		if err := k.obj.eachDue(c.lives(now, false), func(key lbWgKey, f lbWgFlow) bool {
			seen++
			if _, ok := c.judge(key, f, now, false); ok {
				due++
			}
			return true
		}); err != nil {
			t.Fatal(err)
		}
		return seen, due
	}
	if k.obj.look != nil {
		if seen, due := see(time.Minute); seen == 0 || seen > 2*n/100 || due != 0 {
			t.Errorf("of %d live flows %d entries are shown, %d of them as due", n, seen, due)
		}
		if _, due := see(time.Hour + time.Minute); due != n {
			t.Errorf("of %d flows that are over %d are shown", n, due)
		}
		k.obj.look.Close()
		k.obj.look = nil
	}
	if seen, due := see(time.Hour + time.Minute); seen != 2*n || due != n {
		t.Errorf("read by the agent: %d entries, %d of them due; want %d and %d", seen, due, 2*n, n)
	}
	k.pass(t, c, time.Hour+time.Minute, n)
}

// A kernel that cannot run the program is no secret: what is a handicap is logged, counted by a metric and shown on the page.
func TestPeopleAreToldOfTheSlowCollector(t *testing.T) {
	k := newKernel(t, Options{})
	handicaps := func() string {
		dp := &Datapath{ns: &k.namespace, obj: k.obj}
		if err := dp.openReports(); err != nil {
			t.Fatal(err)
		}
		if dp.resetter != nil {
			if err := dp.resetter.close(); err != nil {
				t.Error(err)
			}
		}
		return strings.Join(dp.handicaps, "\n")
	}
	const words = "all flows are copied out of the kernel"
	if k.obj.look != nil {
		if got := handicaps(); strings.Contains(got, words) {
			t.Errorf("although it can: %q", got)
		}
		if err := k.obj.look.Close(); err != nil {
			t.Error(err)
		}
		program := k.obj.WgLook
		k.obj.look, k.obj.WgLook = nil, k.obj.WgCollect // which is no iterator
		k.obj.attachLook()
		k.obj.WgLook = program
	}
	if got := handicaps(); k.obj.look != nil || !strings.Contains(got, words) {
		t.Errorf("%q, iterator %v", got, k.obj.look)
	}
}

// Every kind of entry is shown once its time is over, by the program's own notion of it.
func TestLookKnowsAllKinds(t *testing.T) {
	k := newKernel(t, Options{})
	k.sync(t, oneService(1))
	c := k.collector(Timeouts{})
	k.open(t, client(0))
	reset := k.establish(t, client(1))
	reset.fromTask(t, rst|ack, "")
	byClient := k.establish(t, client(2))
	byClient.fromClient(t, fin|ack, "")
	byClient.fromTask(t, fin|ack, "")
	byTask := k.establish(t, client(3))
	byTask.fromTask(t, fin|ack, "")
	byTask.fromClient(t, fin|ack, "")
	k.establish(t, client(4))
	for _, step := range []struct {
		after time.Duration
		want  int
	}{
		{holdReset - time.Second, 0}, {holdReset + time.Second, 1}, {holdClientFirst + time.Second, 1}, {HalfOpenMin + time.Second, 1},
		{holdServerFirst + time.Second, 1}, {EstablishedDefault - time.Minute, 0}, {EstablishedDefault + time.Second, 1},
	} {
		k.pass(t, c, step.after, step.want)
	}
}
