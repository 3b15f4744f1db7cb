package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab"
)

// queueConfig has a frontend on each path in front of one server.
const queueConfig = `
global
    stats socket ipv4@127.0.0.1:9999 level admin
    %[4]s
defaults
    mode tcp
    timeout connect 1s
    timeout client 1m
    timeout server 1m
    timeout queue 1m
frontend metrics
    mode http
    bind *:8404
    http-request use-service prometheus-exporter if { path /metrics }
frontend kernel_in
    bind *:8001
    %[2]s
    default_backend raw
frontend userspace_in
    bind *:8002
    tcp-request connection accept
    %[2]s
    default_backend raw
backend raw
    server one %[1]s:8000 %[3]s
`

const (
	byKernel    = 8001
	byUserspace = 8002
)

// waiting are clients in the order in which they came. Those that are served have had an answer.
type waiting struct {
	*balancer
	clients []net.Conn
	next    int      // the first that waits
	served  chan int // clients that have had an answer, in that order
	before  float64  // sessions that the kernel had when nobody was there yet
}

// come has a client connect and ask, whether it is served now or later.
func (w *waiting) come(port int) {
	w.t.Helper()
	conn, err := w.dial(port)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	_, err = io.WriteString(conn, "echo\nx")
	if err := errors.Join(err, conn.SetDeadline(time.Now().Add(2*time.Minute))); err != nil {
		w.t.Fatal(err)
	}
	n := len(w.clients)
	w.clients = append(w.clients, conn)
	go func() {
		if _, err := io.ReadFull(conn, make([]byte, 1)); err == nil {
			w.served <- n
		}
	}()
}

// leave has a client go at once, and so its place come free while the call lasts.
func (w *waiting) leave(n int) {
	w.t.Helper()
	if err := w.clients[n].(*net.TCPConn).SetLinger(0); err != nil {
		w.t.Fatal(err)
	}
	w.clients[n].Close()
}

// vacate has a client go, and waits until its place is free: the kernel has none for who comes while a loop has still to hear of it.
func (w *waiting) vacate(n int) {
	w.t.Helper()
	taken := func() float64 { return w.metric("haproxy_server_current_sessions", `server="one"`) }
	before := taken()
	w.leave(n)
	w.eventually("its place is free", func() error {
		if now := taken(); now >= before {
			return fmt.Errorf("%v are taken, %v before", now, before)
		}
		return nil
	})
}

// expect demands that it is the next one's turn, and no one else's.
func (w *waiting) expect() {
	w.t.Helper()
	if n := w.turn(); n != w.next {
		w.t.Fatalf("client %d is served when it is the turn of client %d", n, w.next)
	}
	w.next++
}

// turn waits for somebody to be served.
func (w *waiting) turn() int {
	w.t.Helper()
	select {
	case n := <-w.served:
		return n
	case <-time.After(patience):
		w.t.Fatalf("nobody is served when it is the turn of client %d\n%s", w.next, w.process.Output())
		return 0
	}
}

// queued waits until the server's queue is as long as said: clients come one after the other.
func (w *waiting) queued(n int) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%d clients wait", n), func() error {
		if got := w.metric("haproxy_backend_current_queue", `proxy="raw"`); got != float64(n) {
			return fmt.Errorf("%v wait", got)
		}
		return nil
	})
}

// The places of a server are one number over both paths, and who waits for one is served in the order of arrival, whichever
// path it came by: a client that comes just when a flow of the kernel path gives its place back does not get it.
func TestClientsOfBothPathsWaitInOneQueue(t *testing.T) {
	const places, viaKernel = 8, 6
	w := startWaiting(t, "", "", fmt.Sprintf("maxconn %d", places))
	for n := range places {
		w.come([]int{byKernel, byUserspace}[n/viaKernel])
		w.expect()
	}
	if got := w.viaKernel(); got != viaKernel {
		t.Fatalf("the kernel carries %v of the first connections, want %d", got, viaKernel)
	}
	waits := 0
	for range 2 {
		for _, port := range []int{byKernel, byUserspace} {
			w.come(port)
			waits++
			w.queued(waits)
		}
	}
	for n := range places {
		w.leave(n)
		w.come([]int{byKernel, byKernel, byUserspace}[n%3])
		w.expect()
		w.queued(waits)
		if got := len(w.peers(w.Tasks("raw")[0])); got > places {
			t.Errorf("the server has %d connections, at most %d are allowed", got, places)
		}
	}
	if got := w.viaKernel(); got != viaKernel {
		t.Errorf("the kernel has taken %v connections while others waited", got-viaKernel)
	}
	for n := places; w.next < len(w.clients); n++ {
		w.leave(n)
		w.expect()
	}
	select {
	case n := <-w.served:
		t.Errorf("client %d is served twice", n)
	default:
	}
	w.queued(0)
	w.eventually("the kernel takes connections when nobody waits any more", func() error { // it is told a moment later
		w.vacate(w.next - 1)
		w.come(byKernel)
		w.expect()
		if got := w.viaKernel(); got != viaKernel+1 {
			return fmt.Errorf("it carries %v, want one more than %d", got, viaKernel)
		}
		return nil
	})
}

// The places of a frontend are one number over both paths, too. Who waits for one does so in the accept queue, which all loops share.
func TestClientsOfBothPathsWaitInOneAcceptQueue(t *testing.T) {
	const places = 8
	w := startWaiting(t, "nbthread 2", fmt.Sprintf("maxconn %d", places), "")
	for range places {
		w.come(byKernel)
		w.expect()
	}
	for range 3 {
		w.come(byKernel)
	}
	w.eventually("the loop has looked into its queue: until then nobody knows who waits", func() error {
		w.come(byKernel)
		if w.metric("waggle_datapath_verdicts_total", `reason="queued"`) == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	for n := range places {
		w.leave(n)
		w.come(byKernel)
		w.expect()
	}
	if got := w.viaKernel(); got != places {
		t.Errorf("the kernel has taken %v connections while others waited", got-places)
	}
	for n := places; w.next < len(w.clients); n++ {
		w.leave(n)
		w.expect()
	}
	w.eventually("the kernel takes connections when nobody waits any more", func() error {
		w.vacate(w.next - 1)
		w.come(byKernel)
		w.expect()
		if got := w.viaKernel(); got == places {
			return errors.New("not this one")
		}
		return nil
	})
}

// So are those of the process: with five flows in the kernel and three sessions in userspace all eight are taken, for both paths.
func TestPlacesOfTheProcessAreSharedByBothPaths(t *testing.T) {
	const places, inKernel = 8, 5
	w := startWaiting(t, fmt.Sprintf("maxconn %d\n    nbthread 1", places), "", "")
	for n := range places - 1 {
		w.come([]int{byKernel, byUserspace}[n/inKernel])
		w.expect()
	}
	w.eventually("the first connections are counted", func() error { // by the last place, which is free again then
		if got := w.viaKernel(); got != inKernel {
			return fmt.Errorf("the kernel carries %v", got)
		}
		return nil
	})
	w.come(byUserspace)
	w.expect()
	w.come(byKernel)
	w.come(byUserspace)
	w.eventually("the kernel has left the next one to userspace", func() error {
		said, err := w.runtime("show datapath")
		if err == nil && !regexp.MustCompile(`(?m)^1 +global_limit `).MatchString(said) {
			err = errors.New(said)
		}
		return err
	})
	select {
	case n := <-w.served:
		t.Fatalf("client %d is served while %d others are", n, places)
	case <-time.After(200 * time.Millisecond): // as soon as userspace would have been
	}
	// A place that comes free in the kernel is one for userspace, too.
	for n := range 2 {
		w.leave(n)
		w.turn()
	}
}

// Who waits for a place of the process is not passed by those whom the kernel could take for another frontend: they wait, too,
// and the frontends take turns.
func TestKernelPassesNobodyWhoWaitsForTheProcess(t *testing.T) {
	const places = 8
	w := startWaiting(t, fmt.Sprintf("maxconn %d\n    nbthread 2", places), "", "")
	for range places - 1 { // the last place is for looking at metrics
		w.come(byKernel)
		w.expect()
	}
	w.eventually("the first connections are counted", func() error {
		if got := w.viaKernel(); got != places-1 {
			return fmt.Errorf("the kernel carries %v", got)
		}
		return nil
	})
	w.come(byUserspace)
	w.expect()
	w.come(byUserspace)
	w.eventually("a loop knows that one waits", func() error {
		said, err := w.runtime("show fd")
		if err == nil && !strings.Contains(said, "l.st=FUL fe=userspace_in") {
			err = errors.New(said)
		}
		return err
	})
	// Flows of the kernel end, and there are others who come just then.
	for n := range 2 {
		w.leave(n)
		w.come(byKernel)
	}
	if first, second := w.turn(), w.turn(); first != w.next && second != w.next {
		t.Errorf("clients %d and %d are served while client %d waits", first, second, w.next)
	}
}

// viaKernel is how many of the clients came to kernel_in and were served in the kernel.
func (w *waiting) viaKernel() float64 {
	w.t.Helper()
	return w.metric("waggle_frontend_sessions_total", `path="kernel",proxy="kernel_in"`) - w.before
}

// startWaiting starts waggle with limits on the frontends and on the server.
func startWaiting(t *testing.T, global, frontend, server string) *waiting {
	t.Helper()
	w := &waiting{balancer: &balancer{Lab: newLab(t, lab.Options{}), t: t}, served: make(chan int, 1000)}
	w.runConfig(kernelFlag(), queueConfig, w.rawTasks(1)[0].Addr(), frontend, server, global)
	w.eventually("both frontends serve", func() error {
		for _, port := range []int{byKernel, byUserspace} {
			if _, err := w.rawNameAt(port); err != nil {
				return err
			}
		}
		if n := w.metric("haproxy_server_current_sessions", `server="one"`); n != 0 {
			return fmt.Errorf("%v sessions", n)
		}
		return nil
	})
	w.before = w.viaKernel()
	return w
}
