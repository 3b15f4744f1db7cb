package datapath

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cilium/ebpf"
)

// loadMaps loads the program: on new maps, pinned if that is asked for, or on those that a process before this one has left.
func (dp *Datapath) loadMaps() (err error) {
	if dp.opts.PinDir == "" {
		dp.obj, err = load(dp.opts)
		return err
	}
	spec, err := specFor(dp.opts)
	if err != nil {
		return err
	}
	var names []string
	for name := range spec.Maps {
		if !strings.HasPrefix(name, ".") {
			names = append(names, name)
		}
	}
	specs := bookSpecs(spec.Maps)
	all := slices.Clone(names)
	for _, s := range specs {
		all = append(all, s.Name)
	}
	if dp.pins, err = openPins(dp.opts.PinDir, layoutOf(spec.Maps, specs), all, dp.opts.PinPatience); err != nil {
		return err
	}
	if dp.keep = dp.pins.taken; dp.keep { // until all is in our hands: a start that fails must not end what runs
		return dp.loadPinned(names, specs)
	}
	return dp.pinNew(names, specs)
}

// pinNew loads the program and pins its maps, and those of the book.
func (dp *Datapath) pinNew(names []string, specs []*ebpf.MapSpec) (err error) {
	if dp.obj, err = load(dp.opts); err != nil {
		return err
	}
	maps := dp.obj.maps()
	for _, name := range names {
		if err := maps[name].Pin(dp.pins.path(name)); err != nil {
			return fmt.Errorf("pin the map %s: %w", name, err)
		}
	}
	var opened []*ebpf.Map
	for _, s := range specs {
		m, err := ebpf.NewMap(s)
		if err == nil {
			opened = append(opened, m)
			err = m.Pin(dp.pins.path(s.Name))
		}
		if err != nil {
			for _, m := range opened {
				m.Close()
			}
			return fmt.Errorf("pin the map %s: %w", s.Name, err)
		}
	}
	dp.book = openBook(opened)
	return nil
}

// loadPinned loads the program on the maps that are there. Their sizes win over those of the options.
func (dp *Datapath) loadPinned(names []string, book []*ebpf.MapSpec) error {
	maps, err := dp.pins.maps(names)
	defer func() {
		for _, m := range maps {
			m.Close() // the object has its own descriptors
		}
	}()
	if err != nil {
		return err
	}
	if have := maps[lbMapWgFlows].MaxEntries() / 2; have != dp.opts.FlowMax {
		dp.handicaps = append(dp.handicaps, fmt.Sprintf("the table of flows that was taken over holds %d, not %d as asked for: it takes a stop that unpins it", have, dp.opts.FlowMax))
		dp.opts.FlowMax = have
	}
	dp.opts.HalfOpenRing = maps[lbMapWgRing].MaxEntries()
	dp.opts.eventsBytes = maps[lbMapWgEvents].MaxEntries()
	if dp.obj, err = loadOn(dp.opts, maps); err != nil {
		return err
	}
	var opened []*ebpf.Map
	for _, spec := range book {
		m, err := ebpf.LoadPinnedMap(dp.pins.path(spec.Name), nil)
		if err != nil {
			for _, m := range opened {
				m.Close()
			}
			return fmt.Errorf("open the pinned map %s: %w", spec.Name, err)
		}
		opened = append(opened, m)
	}
	dp.book = openBook(opened)
	return nil
}

// keepBook has the planner note what it gives away.
func (dp *Datapath) keepBook() {
	b := dp.book
	if b == nil {
		return
	}
	dp.planner.gauges.note = func(key gaugeKey, index uint32) error { return b.gauges.Put(key.entry(), index) }
	dp.planner.gauges.drop = func(key gaugeKey) error { return ignoreMissing(b.gauges.Delete(key.entry())) }
	dp.planner.counters.note = func(key pair, index uint32) error { return b.counters.Put(key.entry(), index) }
	dp.planner.counters.drop = func(key pair) error { return ignoreMissing(b.counters.Delete(key.entry())) }
}

// takeOver goes on where the process before this one has stopped, if there was one: with its indices, with what its maps hold,
// and with its links, which get our program in the place of its own without a packet that passes by. What userspace of the old
// process held is gone with it.
func (dp *Datapath) takeOver() error {
	if dp.pins == nil || !dp.pins.taken {
		return nil
	}
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if err := dp.restoreIndices(); err != nil {
		return err
	}
	if err := dp.tables.restore(); err != nil {
		return err
	}
	dp.planner.targets.restore()
	dp.planner.ways.restore()
	dp.disown(0)
	for _, index := range dp.planner.gauges.used {
		dp.disown(index)
	}
	dp.awaiting = true
	if err := dp.adopt(); err != nil {
		return err
	}
	dp.opts.Logger.Info("kernel path: taken over", "pins", dp.pins.dir, "flows", dp.obj.load(0).open(), "interfaces", len(dp.attached))
	return nil
}

// restoreIndices goes on with the book of the process before.
func (dp *Datapath) restoreIndices() error {
	gauges, err := readBook(dp.book.gauges, gaugeKeyOf)
	if err != nil {
		return err
	}
	dp.planner.gauges.restore(gauges)
	counters, err := readBook(dp.book.counters, pairOf)
	if err != nil {
		return err
	}
	dp.planner.counters.restore(counters)
	if dp.past, err = dp.book.readPast(); err != nil {
		return err
	}
	return dp.book.readNames()
}

// readBook returns the indices that a map of the book has, by their keys.
func readBook[K comparable](m *ebpf.Map, key func(entry) K) (map[K]uint32, error) {
	entries, err := readMap[entry, uint32](m)
	if err != nil {
		return nil, err
	}
	indices := make(map[K]uint32, len(entries))
	for e, index := range entries {
		indices[key(e)] = index
	}
	return indices, nil
}

// disown forgets what userspace of a process that is no more has counted.
func (dp *Datapath) disown(index uint32) {
	dp.obj.load(index).disown()
	atomic.StoreUint64(&dp.obj.gauges[index].Waiting, 0)
}

// restore learns what the maps hold, so that what is not desired is found to be too much.
func (t *tables) restore() error {
	it := t.obj.WgSched.Iterate()
	var service, slots uint32
	for it.Next(&service, &slots) { // the slots' own map would take CAP_SYS_ADMIN to open; it is replaced anyway
		t.schedules[service] = nil
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("read %s: %w", t.obj.WgSched, err)
	}
	return nil
}

// restore forgets the ways of a process before this one, but none of their identities, which flows refer to: they ask anew.
func (w *ways) restore() {
	for i := range w.mem {
		w.era = max(w.era, w.mem[i].Id>>wayBits)
		atomic.StoreUint32(&w.mem[i].Id, 0)
		w.forget(uint32(i))
	}
}

// adopt takes over the links that are there, with our programs in them. Interfaces that we do not want are left. (Filters on
// those that we want get our program when we attach to them.)
func (dp *Datapath) adopt() error {
	pinned, err := dp.pins.links()
	if err != nil {
		return err
	}
	links, err := dp.network.links()
	if err != nil {
		return err
	}
	if err := dp.ns.do(func() error { return dp.pins.refuseElsewhere(pinned) }); err != nil {
		return err
	}
	var errs []error
	// Links of TC first: XDP is added to an attachment.
	slices.SortStableFunc(pinned, func(a, b pinnedLink) int { return pinOrder(a) - pinOrder(b) })
	for _, p := range pinned {
		at := slices.IndexFunc(links, func(l link) bool { return l.index == p.ifindex })
		if at < 0 {
			errs = append(errs, p.remove())
			continue
		}
		errs = append(errs, dp.adoptLink(p, links[at]))
	}
	errs = append(errs, dp.removeFilters(links), dp.ns.do(func() error {
		for _, a := range dp.attached {
			if a.express == nil {
				dp.addExpress(a)
			}
		}
		return nil
	}))
	return errors.Join(errs...)
}

// removeFilters takes the filters of the process before this one off interfaces that we do not want. One that has got another
// program since is somebody else's.
func (dp *Datapath) removeFilters(wanted []link) error {
	programs, err := readMap[entry, uint32](dp.book.programs)
	if err != nil {
		return err
	}
	var errs []error
	for e, program := range programs {
		ifindex := int(e[0])
		if slices.ContainsFunc(wanted, func(l link) bool { return l.index == ifindex }) {
			continue
		}
		errs = append(errs, removeFilter(dp.handle, ifindex, int(program)), ignoreMissing(dp.obj.WgIfaces.Delete(e[0])), dp.book.left(ifindex))
	}
	return errors.Join(errs...)
}

func pinOrder(p pinnedLink) int {
	if p.xdp {
		return 1
	}
	return 0
}

func (dp *Datapath) adoptLink(p pinnedLink, l link) error {
	if !p.xdp {
		if err := p.Update(dp.obj.WgIngress); err != nil {
			return fmt.Errorf("take over the program on %s: %w", l.name, err)
		}
		dp.attached[l.index] = tcxAttachment(l, p.Link)
		return nil
	}
	l.xdpProgram = 0 // it is ours
	a := dp.attached[l.index]
	if a == nil { // it is attached anew with all that belongs there
		return p.remove()
	}
	a.link = l
	if dp.obj.express == nil || l.withoutXDP(dp.opts) != "" || l.xdpGeneric != dp.opts.generic() {
		return p.remove()
	}
	if err := p.Update(dp.obj.express); err != nil {
		return fmt.Errorf("take over the program for XDP on %s: %w", l.name, err)
	}
	a.express, a.generic = p.Link, dp.opts.generic()
	return nil
}
