package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"waggle/pkg/datapath"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
	"waggle/pkg/offload"
	"waggle/pkg/pool"
)

// inNamespace opens a kernel path in a namespace of its own, with a route to 192.0.2.0/24.
func inNamespace(t *testing.T) *datapath.Datapath {
	t.Helper()
	type result struct {
		ns  netns.NsHandle
		err error
	}
	made := make(chan result)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		ns, err := netns.New()
		if err == nil {
			attrs := netlink.NewLinkAttrs()
			attrs.Name = "wg0"
			err = netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "wg1"})
		}
		for _, name := range []string{"wg0", "wg1"} {
			l, err2 := netlink.LinkByName(name)
			if err2 == nil && name == "wg0" {
				err2 = netlink.AddrAdd(l, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(24, 32)}})
			}
			if err2 == nil {
				err2 = netlink.LinkSetUp(l)
			}
			err = errors.Join(err, err2)
		}
		made <- result{ns, err}
	}()
	r := <-made
	if r.err != nil {
		t.Fatal(r.err)
	}
	t.Cleanup(func() { r.ns.Close() })
	dp, err := datapath.Open(t.Context(), datapath.Options{NetNS: fmt.Sprintf("/proc/self/fd/%d", int(r.ns)), FlowMax: 1024})
	if err != nil {
		t.Fatal(err)
	}
	return dp
}

// sharingAgent is an agent whose kernel path is in another namespace, and has not begun.
func sharingAgent(t *testing.T) (*Agent, *bytes.Buffer) {
	t.Helper()
	require.Root(t)
	cfg := parse(t, fmt.Sprintf("listen tcp\n    bind %s\n    maxconn 4\n    server a 192.0.2.10:80 maxconn 2\n", labtest.FreeAddr(t)))
	var log bytes.Buffer
	a, err := New(t.Context(), Options{Config: cfg, Datapath: DatapathOff, Loops: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	a.signals.stop()
	a.engine.Start()
	a.kernel.dp.Store(inNamespace(t))
	t.Cleanup(func() {
		if a.kernel.sharing != nil {
			a.kernel.sharing.Stop()
		}
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	log.Reset()
	return a, &log
}

// serves tells whether the kernel path is to take connections.
func servesNow(k *kernel) bool { return len(k.desired().Services[0].Schedule) > 0 }

// Where a limit cannot be counted on both paths the kernel path takes no connection under it, since each path would fill it. It is tried
// again until it works, and said once.
func TestPlacesThatCannotBeSharedAreUserspaces(t *testing.T) {
	for _, of := range []string{"frontend", "server"} {
		t.Run(of, func(t *testing.T) {
			a, log := sharingAgent(t)
			k := a.kernel
			full := errors.New("no room for another one")
			if of == "server" {
				k.placer.server = func(*datapath.Datapath, uint32, string, string) (datapath.Places, error) {
					return datapath.Places{}, full
				}
			} else {
				k.placer.service = func(*datapath.Datapath, uint32, string) (datapath.Places, error) { return datapath.Places{}, full }
			}
			k.begin(a.now().verdicts)
			for range 3 {
				if k.shareAgain() == nil {
					t.Fatal("it is not tried again")
				}
				if servesNow(k) {
					t.Fatal("each path fills the limit by itself")
				}
				a.sharePlaces(t.Context())
			}
			if n := strings.Count(log.String(), full.Error()); n != 1 {
				t.Errorf("said %d times:\n%s", n, log)
			}
			k.placer = kernelPlaces
			for end := time.Now().Add(time.Minute); k.shareAgain() != nil && time.Now().Before(end); { // the loops may be late
				a.sharePlaces(t.Context())
			}
			if !servesNow(k) || !a.Pool().Frontend("tcp").Sessions.Shared() || !a.Pool().Backend("tcp").Servers()[0].Sessions.Shared() {
				t.Error("the kernel path does not serve")
			}
			if k.shareAgain() != nil || !strings.Contains(log.String(), "count their places together\" failed_tries=") {
				t.Errorf("it goes on:\n%s", log)
			}
		})
	}
}

// The same when the event loops do not stand still for it.
func TestPlacesAreSharedWhenTheLoopsTurnAgain(t *testing.T) {
	a, _ := sharingAgent(t)
	k := a.kernel
	hangs, release, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		ended <- a.engine.StandStill(context.Background(), func() { close(hangs); <-release })
	}()
	<-hangs
	a.sharePlaces(t.Context())
	if k.begun || k.shareAgain() == nil || servesNow(k) {
		t.Error("it shares places while userspace does what it likes, or gives up")
	}
	close(release)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	labtest.Eventually(t, time.Minute, "the next tries", func() error {
		a.sharePlaces(t.Context())
		if !k.begun || k.shareAgain() != nil || !servesNow(k) {
			return errors.New("not shared")
		}
		return nil
	})
}

// What a process before this one has counted is nobody's until those are known whose it is. A look at the counters meanwhile loses none of
// it, and counts none of it twice.
func TestCountsWaitForThoseWhoseTheyAre(t *testing.T) {
	cfg := parse(t, "listen tcp\n    bind :80\n    server a 10.0.0.1:80\n")
	b, err := build(cfg, 1, 256, nil, nil, datapath.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	k := newKernel(b.pool, offload.Explain(cfg), &logs{}, slog.New(slog.DiscardHandler), datapath.Identities{})
	be := b.pool.Backend("tcp")
	a, former := be.Servers()[0], be.Former("former")
	now := datapath.Snapshot{
		Services: map[uint32]datapath.Counts{1: {Sessions: 7, Current: 2}},
		Servers:  map[uint32]datapath.Counts{k.servers.id(a): {Sessions: 3, Current: 2}, k.servers.id(former): {Sessions: 4}},
	}
	now.Total.Current, now.Total.HalfOpen = 2, 1
	k.bring(now)
	if got := b.pool.Process.Conns.Kernel(); got != 3 { // no place is shared, so handshakes count as well
		t.Errorf("%d places of the process taken", got)
	}
	k.servers.add(former) // as recall does
	k.begun = true
	for range 2 {
		k.bring(now)
	}
	sessions := func(c *pool.Counters) uint64 { return c.Sum().Sessions }
	if a, f, back, fe := sessions(&a.Counters), sessions(&former.Counters), sessions(&be.Counters), sessions(&b.pool.Frontend("tcp").Counters); a != 3 || f != 4 || back != 7 || fe != 7 {
		t.Errorf("%d and %d of servers, %d of the backend, %d of the frontend", a, f, back, fe)
	}
}
