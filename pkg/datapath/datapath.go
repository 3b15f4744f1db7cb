package datapath

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"

	"waggle/pkg/trouble"
)

// heartbeatEvery is a third of the time after which the program stops taking connections.
const heartbeatEvery = time.Second

// lookAfterEvery is how often neighbours are looked after that the program sends to.
const lookAfterEvery = time.Second

// Datapath is the loaded and attached program. All methods are safe for concurrent use.
type Datapath struct {
	opts    Options
	ports   portRange
	ns      *namespace
	handle  *netlink.Handle
	network network
	obj     *object
	pins    *pins // nil: all ends with the process
	book    *book
	// resetter and events are nil where they are not to be had or not wanted.
	resetter   *resetter
	narrows    *narrowing // nil without resetter
	events     *events
	collector  *collector
	stopwatch  *stopwatch
	stop       context.CancelFunc
	running    sync.WaitGroup
	readEvents sync.Once
	// inUse is held for reading by who uses obj without mu, and for writing by who frees it.
	inUse sync.RWMutex

	mu      sync.Mutex // guards all below
	closed  bool
	desired Desired
	// awaiting tells that another process's services run, until the first Sync says what they are to be.
	awaiting bool
	// keep has Close leave what is pinned.
	keep     bool
	planner  planner
	tables   tables
	routes   routeTable
	past     ledger
	timeouts map[uint32]Timeouts // by service, kept until its last flow is gone
	retired  map[gaugeKey]time.Time
	shared   map[gaugeKey]bool   // with others, so never given back
	attached map[int]*attachment // by interface index
	alive    lifeline            // held where filters are
	degraded []string
	// what goes on to fail is said once
	following, neighbouring, forgetting, reading trouble.Lasting
	// handicaps are what was found missing at the start; they are part of degraded from then on.
	handicaps []string
}

// report logs the error of something that is tried again and again, when it comes or becomes another one. Whatever guards l is held.
func (dp *Datapath) report(l *trouble.Lasting, text string, err error) {
	if news, failed := l.Note(err); news && err != nil {
		dp.opts.Logger.Error(text, "err", err, "failed_tries", failed)
	}
}

// beat tells the program that its agent lives.
func (dp *Datapath) beat() {
	atomic.StoreUint64(&dp.obj.settings.Heartbeat, monotonicNow()+uint64(dp.opts.awake))
}

// Sync makes the kernel hold what d says. It may be called as often as things change; equal states cost a comparison.
// Its slices are the Datapath's from then on. An error means that part of d could not be put in place; calling again
// tries again. An invalid d changes nothing.
func (dp *Datapath) Sync(d Desired) error {
	if err := d.validate(); err != nil {
		return fmt.Errorf("desired state: %w", err)
	}
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return errClosed
	}
	dp.desired, dp.awaiting = d, false
	dp.readEvents.Do(dp.startEvents)
	return dp.refresh()
}

// Awaits tells that the services of a process before this one run, until the first Sync.
func (dp *Datapath) Awaits() bool {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	return dp.awaiting
}

// TakenOver tells that there was a process before this one whose flows go on.
func (dp *Datapath) TakenOver() bool { return dp.pins != nil && dp.pins.taken }

// startEvents has ends of sessions told. The caller holds mu, and has stated what the services are that they belong to.
func (dp *Datapath) startEvents() {
	if dp.events == nil {
		return
	}
	dp.running.Go(func() {
		if err := dp.events.run(); err != nil {
			dp.opts.Logger.Error("kernel path: its sessions are not logged any more", "err", err)
		}
	})
}

var errClosed = errors.New("the kernel path is closed")

// networkChanged brings interfaces, addresses and routes up to date.
func (dp *Datapath) networkChanged() {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return
	}
	dp.routes.known = false
	dp.report(&dp.following, "kernel path: following the network failed", dp.refresh())
}

// refresh makes attachments and maps what the desired state and the network ask for. The caller holds mu.
func (dp *Datapath) refresh() error {
	links, err := dp.network.links()
	if err != nil {
		return err
	}
	addrs, err := dp.network.addrs()
	if err != nil {
		return err
	}
	routes, routesErr := dp.routes.read(dp.network)
	failed, err := dp.attach(links, homes(routes))
	if err != nil {
		return err
	}
	dp.noteFeatures(links)
	if dp.awaiting {
		return nil
	}

	if routesErr != nil {
		return routesErr
	}
	known, err := dp.network.neighbours()
	if err != nil {
		return err
	}
	v := view{links: links, addrs: addrsOf(addrs), route: dp.network.route, local: dp.network.local, routes: routes, known: known}
	if dp.opts.AllSources {
		v.sources = func(r route) []netip.Addr { return besides(addrs, r) }
	}
	for _, s := range dp.desired.Services {
		t := s.Timeouts
		t.retries = s.Retries
		dp.timeouts[s.ID] = t
	}
	p, err := dp.tables.follow(&dp.planner, dp.desired, v)
	without, _ := dp.withoutAny() // at the start that none has it is an error, later on a pity
	dp.degrade(slices.Concat(failed, p.degraded, without, dp.portTrouble()), len(links))
	dp.retire()
	return err
}

// portTrouble says in words whether local sockets take our ports by now: the sysctl can change at any time.
func (dp *Datapath) portTrouble() (words []string) {
	err := dp.ns.do(func() error {
		local, err := readLocalPorts()
		if err == nil && dp.ports.overlap(local) != "" {
			words = append(words, dp.ports.overlap(local))
		}
		return err
	})
	if err != nil {
		words = append(words, err.Error())
	}
	return words
}

// degrade notes what does not work as it should and logs what is new.
func (dp *Datapath) degrade(words []string, links int) {
	words = append(slices.Clone(dp.handicaps), words...)
	if links == 0 {
		words = append(words, "no interface to attach to")
	}
	for _, w := range words {
		if !slices.Contains(dp.degraded, w) {
			dp.opts.Logger.Warn("kernel path: " + w)
		}
	}
	dp.degraded = words
}

// Counters reads all counters; cheap enough for every second.
func (dp *Datapath) Counters() Snapshot {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return Snapshot{}
	}
	s, err := dp.obj.snapshot(&dp.planner, &dp.past)
	s.Ports = dp.ports.size()
	s.SourcePorts = make(map[uint32]MapUse, len(dp.planner.sources))
	for id, sources := range dp.planner.sources {
		s.SourcePorts[id] = MapUse{Entries: uint32(s.Servers[id].Entries), Max: sources * s.Ports}
	}
	var lostErr, timeErr error
	s.LostEvents, lostErr = dp.obj.lostEvents()
	if dp.stopwatch != nil {
		s.RunTime, timeErr = dp.stopwatch.read(dp.obj.WgIngress, dp.obj.express)
	}
	dp.report(&dp.reading, "kernel path: reading counters failed", errors.Join(err, lostErr, timeErr))
	if dp.resetter != nil {
		s.Resets, s.ResetsFailed = dp.resetter.sent.Load(), dp.resetter.failed.Load()
	}
	return s
}

// Flows calls yield for each flow in the table, in no order, until it returns false. Flows that come or go meanwhile
// may be missed. yield must not call Close.
func (dp *Datapath) Flows(yield func(Flow) bool) error {
	dp.inUse.RLock()
	defer dp.inUse.RUnlock()
	if dp.isClosed() {
		return errClosed
	}
	return dp.obj.flows(yield)
}

func (dp *Datapath) isClosed() bool {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	return dp.closed
}

// Status says how the kernel path stands.
func (dp *Datapath) Status() Status {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	s := Status{Mode: dp.mode(), PortMin: dp.ports.min, PortMax: dp.ports.max, Degraded: slices.Clone(dp.degraded)}
	for _, a := range dp.attached {
		s.Interfaces = append(s.Interfaces, InterfaceStatus{Name: a.link.name, Index: a.link.index, Attach: a.kindOf(), WithoutXDP: a.without})
	}
	slices.SortFunc(s.Interfaces, func(a, b InterfaceStatus) int { return a.Index - b.Index })
	return s
}
