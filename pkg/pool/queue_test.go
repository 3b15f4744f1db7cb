package pool

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func limited(n int) func(*ServerOptions) { return func(o *ServerOptions) { o.MaxConn = n } }

// waiter notes what it was granted.
func waiter(grants *[]string, name string, want bool) *Waiter {
	return &Waiter{Grant: func(t Target) bool {
		*grants = append(*grants, name+" "+t.Server.Name)
		return want
	}}
}

func TestAcquireStopsAtMaxConn(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(limited(2))
	s.Sessions.SetKernel(1) // both paths count together
	if !s.Acquire() || s.Acquire() {
		t.Fatal("want one session more, not two")
	}
	if s.Sessions.Load() != 2 || s.Sessions.Max() != 2 {
		t.Errorf("sessions %d, max %d", s.Sessions.Load(), s.Sessions.Max())
	}
	s.Release()
	if !s.Acquire() {
		t.Error("a released place cannot be taken")
	}
	endless := b.server(nil)
	for range 1000 {
		if !endless.Acquire() {
			t.Fatal("a server without maxconn is never full")
		}
	}
}

func TestQueueIsFirstComeFirstServed(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(limited(1))
	s.Acquire()
	var grants []string
	for _, w := range []struct {
		name string
		want bool
	}{{"a", true}, {"b", false}, {"c", true}} {
		b.Enqueue(waiter(&grants, w.name, w.want))
	}
	left := waiter(&grants, "d", true)
	b.Enqueue(left)
	if b.Queue.Load() != 4 || len(grants) != 0 {
		t.Fatalf("queue %d, grants %v", b.Queue.Load(), grants)
	}
	if !b.Dequeue(left) || b.Dequeue(left) {
		t.Error("a waiter leaves the queue once")
	}
	s.Release()
	s.Release() // b does not want it any more, so c gets it
	if got := fmt.Sprint(grants); got != "[a s1 b s1 c s1]" {
		t.Errorf("grants %s", got)
	}
	s.Release()
	if b.Queue.Load() != 0 || s.Sessions.Load() != 0 {
		t.Errorf("queue %d, sessions %d at the end", b.Queue.Load(), s.Sessions.Load())
	}
}

func TestWaitersGoToTheServerWithMostRoom(t *testing.T) {
	b := newBench(t, BackendOptions{})
	b.server(limited(1)).Acquire()
	b.server(limited(3)).Acquire()
	var grants []string
	b.Enqueue(waiter(&grants, "a", true))
	if fmt.Sprint(grants) != "[a s2]" {
		t.Errorf("grants %v", grants)
	}
}

func TestQueueMovesWhenAServerComesUp(t *testing.T) {
	b := newBench(t, BackendOptions{})
	g := b.template(1, limited(1))
	var grants []string
	b.Enqueue(waiter(&grants, "a", true))
	if len(grants) != 0 {
		t.Fatal("granted without a server")
	}
	g.Resolve(found(1))
	if fmt.Sprint(grants) != "[a s1]" {
		t.Errorf("grants %v", grants)
	}
}

func TestQueueMovesWhenKernelFlowsEnd(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(limited(2))
	s.SetKernelSessions(2)
	var grants []string
	b.Enqueue(waiter(&grants, "a", true))
	s.SetKernelSessions(1)
	if fmt.Sprint(grants) != "[a s1]" || s.Sessions.Load() != 2 {
		t.Errorf("grants %v, sessions %d", grants, s.Sessions.Load())
	}
}

// TestNobodyWaitsForAFreeServer: sessions that come, queue, give up and go at the same time. If a
// wake-up were lost, virtual time would stand still with somebody in the queue.
func TestNobodyWaitsForAFreeServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, BackendOptions{})
		for range 2 {
			b.server(limited(2))
		}
		var served, gaveUp, over atomic.Int64
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				for j := range 50 {
					use(b, (i+j)%7 == 0, &served, &gaveUp, &over)
				}
			})
		}
		wg.Wait()
		if served.Load()+gaveUp.Load() != 64*50 || served.Load() == 0 || gaveUp.Load() == 0 {
			t.Errorf("served %d, gave up %d", served.Load(), gaveUp.Load())
		}
		if over.Load() != 0 || b.Queue.Load() != 0 {
			t.Errorf("%d times over maxconn, %d left in the queue", over.Load(), b.Queue.Load())
		}
		for _, s := range b.Servers() {
			if s.Sessions.Load() != 0 || s.Sessions.Max() != 2 {
				t.Errorf("%s: %d sessions left, at most %d", s.Name, s.Sessions.Load(), s.Sessions.Max())
			}
		}
	})
}

// use takes a session of any server, waiting in the queue if it must; an impatient one gives up.
func use(b *bench, impatient bool, served, gaveUp, over *atomic.Int64) {
	granted := make(chan *Server, 1)
	w := &Waiter{Grant: func(t Target) bool { granted <- t.Server; return true }}
	b.Enqueue(w)
	if impatient && b.Dequeue(w) {
		gaveUp.Add(1)
		return
	}
	s := <-granted
	if s.Sessions.Load() > int64(s.MaxConn) {
		over.Add(1)
	}
	time.Sleep(time.Millisecond)
	s.Release()
	served.Add(1)
}

// TestServersHaveQueuesOfTheirOwn: who wants one server gets no other; among those that a place suits, the first to
// come is the first served.
func TestServersHaveQueuesOfTheirOwn(t *testing.T) {
	b := newBench(t, BackendOptions{})
	one := b.server(func(o *ServerOptions) { o.MaxConn, o.MaxQueue = 1, 2 })
	two := b.server(limited(1))
	one.Acquire()
	two.Acquire()
	var grants []string
	wait := func(name string, s *Server) bool {
		return b.EnqueueFor(waiter(&grants, name, true), s)
	}
	wait("a", one)
	b.Enqueue(waiter(&grants, "b", true))
	left := waiter(&grants, "left", true)
	if !b.EnqueueFor(left, one) {
		t.Error("there is no place in the queue")
	}
	if wait("too many", one) {
		t.Error("a queue is longer than maxqueue")
	}
	if one.Queue.Load() != 2 || two.Queue.Load() != 0 || b.Queue.Load() != 1 {
		t.Errorf("queues of %d, %d and for any %d", one.Queue.Load(), two.Queue.Load(), b.Queue.Load())
	}
	two.Release() // suits b only
	two.Release() // suits nobody
	if got := fmt.Sprint(grants); got != "[b s2]" {
		t.Fatalf("grants %s", got)
	}
	b.Dequeue(left)
	wait("c", one)
	two.Acquire()
	b.Enqueue(waiter(&grants, "d", true))
	one.Release()
	one.Release()
	one.Release()
	if got := fmt.Sprint(grants); got != "[b s2 a s1 c s1 d s1]" {
		t.Errorf("grants %s", got)
	}
	if one.Queue.Load() != 0 || b.Queue.Load() != 0 {
		t.Errorf("%d and %d are left", one.Queue.Load(), b.Queue.Load())
	}
}

// TestWaitersOfAServerThatGoesDownTakeAnyOther in the order in which all came.
func TestWaitersOfAServerThatGoesDownTakeAnyOther(t *testing.T) {
	b := newBench(t, BackendOptions{Requeue: true})
	one, two := b.server(limited(1)), b.server(limited(1))
	one.Acquire()
	two.Acquire()
	var grants []string
	b.Enqueue(waiter(&grants, "a", true))
	b.EnqueueFor(waiter(&grants, "b", true), one)
	b.Enqueue(waiter(&grants, "c", true))
	b.EnqueueFor(waiter(&grants, "d", true), one)
	one.SetMaint(true, CauseCLI)
	if one.Queue.Load() != 0 || b.Queue.Load() != 4 {
		t.Errorf("%d wait for the server, %d for any", one.Queue.Load(), b.Queue.Load())
	}
	for range 4 {
		two.Release()
	}
	if got := fmt.Sprint(grants); got != "[a s2 b s2 c s2 d s2]" {
		t.Errorf("grants %s", got)
	}
	one.Sessions.Add(-1)
	b.EnqueueFor(waiter(&grants, "late", true), one) // it is down already
	two.Release()
	if got := grants[len(grants)-1]; got != "late s2" {
		t.Errorf("the last grant is %s", got)
	}
}
