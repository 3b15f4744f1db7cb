package datapath

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/vishvananda/netlink"

	"waggle/pkg/trouble"
)

// Open loads the program and attaches it. ctx bounds the opening only; the Datapath lives until Close.
// When the machine or its privileges do not allow it, the error is an *UnavailableError.
// Until the first Sync no connection is taken.
func Open(ctx context.Context, opts Options) (*Datapath, error) {
	opts = opts.withDefaults()
	if !slices.Contains([]Mode{ModeAuto, ModeTC, ModeXDP, ModeXDPGeneric}, opts.Mode) {
		return nil, &UnavailableError{Problem: fmt.Sprintf("there is no mode %q", opts.Mode), Remedy: "use auto, tc, xdp or xdp-generic", Err: errors.ErrUnsupported}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dp := &Datapath{
		opts:     opts,
		timeouts: make(map[uint32]Timeouts),
		retired:  make(map[gaugeKey]time.Time),
		shared:   make(map[gaugeKey]bool),
		attached: make(map[int]*attachment),
		past:     newLedger(),
	}
	err := dp.open()
	if err == nil {
		dp.keep = opts.Keep
	} else {
		err = errors.Join(err, dp.Close())
		var unavailable *UnavailableError
		if errors.As(err, &unavailable) {
			return nil, err
		}
		unavailable = explain(err, thisMachine())
		unavailable.keepLog(os.TempDir())
		return nil, unavailable
	}
	return dp, nil
}

func (dp *Datapath) open() (err error) {
	var life context.Context
	life, dp.stop = context.WithCancel(context.Background())
	if dp.ns, err = openNamespace(dp.opts.NetNS); err != nil {
		return err
	}
	if dp.handle, err = netlink.NewHandleAt(dp.ns.ns); err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	dp.network = &rtnetlink{handle: dp.handle, only: dp.opts.Ifaces}
	if err = dp.ns.do(func() (err error) { dp.ports, err = sourcePorts(dp.opts); return err }); err != nil {
		return err
	}
	if err = dp.loadMaps(); err != nil {
		return err
	}
	if err = dp.openExpress(); err != nil {
		return err
	}
	if err = dp.openReports(); err != nil {
		return err
	}
	dp.planner = newPlanner(dp.obj)
	dp.keepBook()
	dp.obj.ports.add(dp.ports.min, dp.ports.max)
	// Not from the first port on: a task may still remember those of the process before us.
	dp.planner.targets.port = func() uint32 { return rand.Uint32N(dp.ports.size()) }
	dp.tables = newTables(dp.obj, dp.planner.targets)
	dp.obj.settings.PortMin, dp.obj.settings.PortMax = dp.ports.min, dp.ports.max
	dp.beat()
	if err = dp.takeOver(); err != nil {
		return err
	}
	if err = dp.ns.do(func() error { return dp.pins.removeOthers(dp.opts.Logger) }); err != nil {
		return err
	}

	changed, err := watchNetwork(life, dp.ns.ns)
	if err != nil {
		return err
	}
	dp.mu.Lock()
	err = dp.refresh()
	if err == nil {
		_, err = dp.withoutAny()
	}
	dp.mu.Unlock()
	if err != nil {
		return err
	}
	dp.start(life, changed)
	return nil
}

// openReports opens what tells others how flows end: their ends, by RSTs, and the log.
func (dp *Datapath) openReports() error {
	err := dp.ns.do(func() (err error) { dp.resetter, err = openResetter(); return err })
	if err != nil {
		dp.handicaps = append(dp.handicaps, "flows that time out or are shut down end without a reset: "+err.Error()+" (it takes the capability NET_RAW)")
	}
	if dp.resetter != nil {
		dp.narrows = newNarrowing(dp.obj, dp.resetter.tooLong)
	}
	if dp.obj.noLook != nil {
		dp.handicaps = append(dp.handicaps, "all flows are copied out of the kernel to find those that are over, which takes about a microsecond each: "+dp.obj.noLook.Error()+" (it takes kernel 5.8 with BTF, and one that lets programs iterate over maps)")
	}
	if dp.opts.RunTime {
		if dp.stopwatch, err = openStopwatch(); err != nil {
			dp.handicaps = append(dp.handicaps, "the time per packet is measured only while the sysctl kernel.bpf_stats_enabled is set: "+err.Error())
		}
	}
	if dp.opts.OnClose == nil {
		return nil
	}
	dp.events, err = openEvents(dp.obj, dp.opts.OnClose)
	return err
}

// start runs what keeps the kernel path alive until life ends.
func (dp *Datapath) start(life context.Context, changed <-chan struct{}) {
	dp.collector = &collector{obj: dp.obj, timeouts: dp.timeoutsOf, each: dp.eachTimeouts}
	if dp.resetter != nil {
		dp.collector.reset = dp.resetter.reset
	}
	var collecting, telling trouble.Lasting // of one goroutine each
	dp.running.Go(func() {
		sparingly(life, nil, func() {
			_, err := dp.collector.pass(monotonicNow())
			dp.report(&collecting, "kernel path: collecting flows failed", err)
			dp.sweep()
		})
	})
	if dp.narrows != nil {
		dp.running.Go(func() {
			sparingly(life, dp.narrows.wake, func() {
				dp.report(&telling, "kernel path: telling flows of a lowered MTU failed", dp.narrows.look())
			})
		})
	}
	dp.running.Go(func() { follow(life, changed, dp.meetInterfaces, dp.networkChanged) })
	dp.running.Go(func() { followNeighbours(life, dp.ns.ns, dp.neighbourChanged, dp.networkChanged) })
	// The heartbeat waits for no lock: loading a program anew may hold one for longer than the program's patience.
	dp.running.Go(func() { every(life, heartbeatEvery, dp.beat) })
	dp.running.Go(func() { every(life, lookAfterEvery, dp.lookAfterNeighbours) })
}

// every calls do each interval until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			do()
		}
	}
}

// Close detaches the program and frees all maps; live flows end. With Options.Keep it leaves what is pinned as it is: flows live on. It waits for all goroutines of the Datapath.
// A second Close does nothing.
func (dp *Datapath) Close() error {
	dp.mu.Lock()
	if dp.closed {
		dp.mu.Unlock()
		return nil
	}
	dp.closed = true
	dp.mu.Unlock()
	var errs []error
	dp.stop()
	if dp.events != nil {
		errs = append(errs, dp.events.close())
	}
	dp.running.Wait()

	dp.inUse.Lock()
	defer dp.inUse.Unlock()
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.resetter != nil {
		errs = append(errs, dp.resetter.close())
	}
	if dp.stopwatch != nil {
		errs = append(errs, dp.stopwatch.close())
	}
	for index, a := range dp.attached {
		errs = append(errs, dp.leave(a))
		delete(dp.attached, index)
	}
	if dp.obj != nil {
		errs = append(errs, dp.obj.close())
	}
	errs = append(errs, dp.alive.close(), dp.book.close(), dp.pins.close(dp.keep))
	if dp.handle != nil {
		dp.handle.Close()
	}
	if dp.ns != nil {
		errs = append(errs, dp.ns.close())
	}
	return errors.Join(errs...)
}
