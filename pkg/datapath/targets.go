package datapath

import (
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"unsafe"
)

// targets is wg_targets: what slots of schedules lead to. Each server has two entries: the one with the index of its gauge, and one as
// far behind it as there are gauges, so that the program knows its load without asking. An entry is written before any
// schedule refers to it and never changed while one does, so that no packet sees half of it: a server that changes takes its
// other entry, and with it another schedule. All that changes in one is its next source port, which packets take, and what is known of
// its way.
// Not safe for concurrent use.
type targets struct {
	mem []lbWgTarget // wg_targets
	// referred are those that schedules of the kernel lead to, or are about to.
	referred []bool
	// newest is the entry that a gauge's server had last.
	newest map[uint32]uint32
	// own is wg_own_macs; entries stay, since there are few interfaces.
	own []lbWgOwnMac
	// port, if set, is where the source ports of a new server begin.
	port func() uint32
}

func newTargets(mem []lbWgTarget, own []lbWgOwnMac) *targets {
	return &targets{mem: mem, referred: make([]bool, len(mem)), newest: make(map[uint32]uint32), own: own}
}

// pair are the two entries of a gauge's server.
func (x *targets) pair(gauge uint32) [2]uint32 {
	return [2]uint32{gauge, gauge + uint32(len(x.mem)/2)}
}

// staying is what does not change in an entry.
func (x *targets) staying(i uint32) lbWgTarget {
	t := x.mem[i]
	t.Ports, t.To, t.Used = 0, lbWgTarget{}.To, 0
	return t
}

// errEntriesInUse is of a server whose entries are both referred to.
var errEntriesInUse = errors.New("both entries of " + lbMapWgTargets + " are in use")

// get returns the index of the entry that holds target, which is not zero, and zero in what does not stay; gauge is the index of its
// server's. It is errEntriesInUse if schedules lead to both entries of the server, one of which could not be replaced when it changed
// before.
func (x *targets) get(gauge uint32, target lbWgTarget) (uint32, error) {
	free := uint32(0)
	for _, i := range x.pair(gauge) {
		if x.staying(i) == target {
			x.referred[i], x.newest[gauge] = true, i
			return i, nil
		}
		if !x.referred[i] {
			free = i
		}
	}
	if free == 0 {
		return 0, fmt.Errorf("server %d: %w", target.Server, errEntriesInUse)
	}
	target.Ports = x.nextPort(gauge, target)
	x.mem[free] = target
	x.referred[free], x.newest[gauge] = true, free
	return free, nil
}

// nextPort is where the source ports of a new entry begin: where those of the one before stop, if that is of the same address.
func (x *targets) nextPort(gauge uint32, target lbWgTarget) uint32 {
	if i, ok := x.newest[gauge]; ok {
		if before := &x.mem[i]; before.Server == target.Server && before.Addr == target.Addr && before.Port == target.Port {
			return atomic.LoadUint32(&before.Ports)
		}
	}
	if x.port == nil {
		return 0
	}
	return x.port()
}

// release gives back the entries that none of the schedules leads to. schedules are all that the kernel has; nil stands for an unknown
// one. No program reads what a schedule led to that has been replaced: the system call that replaces or deletes a map in a map waits for
// those that run (Linux, commit 1ae80cf31938, in 5.0; who depends on it is why it stays).
func (x *targets) release(schedules map[uint32]*schedule) {
	for _, s := range schedules {
		if s == nil {
			return
		}
	}
	clear(x.referred)
	for _, s := range schedules {
		for _, v := range s.slots {
			x.referred[v.target] = true
		}
	}
	for gauge, newest := range x.newest { // that one stays, for its ports, also while no schedule leads to it
		for _, i := range x.pair(gauge) {
			if i != newest && !x.referred[i] {
				x.mem[i] = lbWgTarget{}
			}
		}
	}
}

// forget clears the entries of a server that is no more.
func (x *targets) forget(gauge uint32) {
	delete(x.newest, gauge)
	for _, i := range x.pair(gauge) {
		if !x.referred[i] {
			x.mem[i] = lbWgTarget{}
		}
	}
}

// restore goes on with what a process before this one has left. Which of it its schedules lead to is not known.
func (x *targets) restore() {
	gauges := uint32(len(x.mem) / 2)
	for i := range uint32(len(x.mem)) {
		if x.staying(i) != (lbWgTarget{}) {
			x.setMAC(i, 0)
			x.referred[i], x.newest[i%gauges] = true, i
		}
	}
}

// all are the entries that hold a server.
func (x *targets) all() iter.Seq2[uint32, *lbWgTarget] {
	return func(yield func(uint32, *lbWgTarget) bool) {
		for gauge := range x.newest {
			for _, i := range x.pair(gauge) {
				if x.mem[i].Server != 0 && !yield(i, &x.mem[i]) {
					return
				}
			}
		}
	}
}

// follow takes over what is known of the ways.
func (x *targets) follow(w *ways) {
	for i, target := range x.all() {
		way, mac := &w.mem[target.Way&(wayMax-1)], uint64(0)
		if target.Way != 0 && way.Id == target.Way {
			mac = *(*uint64)(unsafe.Pointer(&way.To))
		}
		x.setMAC(i, mac)
	}
}

// setMAC writes a whole struct wg_mac at once.
func (x *targets) setMAC(i uint32, mac uint64) {
	atomic.StoreUint64((*uint64)(unsafe.Pointer(&x.mem[i].To)), mac)
}

// noteUse marks the ways that connections have been set up by since the last call.
func (x *targets) noteUse(w *ways) {
	for _, target := range x.all() {
		if target.Used == 0 {
			continue
		}
		target.Used = 0
		if way := &w.mem[target.Way&(wayMax-1)]; way.Id == target.Way {
			way.Used = 1
		}
	}
}

// ownMAC returns the index of the MAC of one of our interfaces, 0 if there is no room.
func (x *targets) ownMAC(mac [6]byte) uint8 {
	for i := 1; i < len(x.own); i++ {
		if x.own[i].Addr == mac {
			return uint8(i)
		}
		if x.own[i].Addr == [6]byte{} {
			x.own[i].Addr = mac
			return uint8(i)
		}
	}
	return 0
}
