package datapath

import (
	"fmt"
	"time"
)

// targets is wg_targets: what slots of schedules lead to. An entry is written before any schedule refers to it and never changed
// while one does, so that no packet sees half of it: a server that changes gets another entry, and with it another schedule.
// Not safe for concurrent use.
type targets struct {
	mem   []lbWgTarget // wg_targets
	index map[lbWgTarget]uint32
	// idle are those that no schedule refers to, and since when.
	idle map[uint32]time.Time
	free []uint32
	next uint32
}

func newTargets(mem []lbWgTarget) *targets {
	return &targets{mem: mem, index: make(map[lbWgTarget]uint32), idle: make(map[uint32]time.Time), next: 1}
}

// get returns the index of the entry that holds target, which is not zero.
func (x *targets) get(target lbWgTarget) (uint32, error) {
	if i, ok := x.index[target]; ok {
		return i, nil
	}
	i := x.next
	switch n := len(x.free); {
	case n > 0:
		i, x.free = x.free[n-1], x.free[:n-1]
	case int(i) < len(x.mem):
		x.next++
	default:
		return 0, fmt.Errorf("%s is full: %d entries", lbMapWgTargets, len(x.mem))
	}
	x.mem[i] = target
	x.index[target] = i
	return i, nil
}

// release gives back the entries that none of the schedules has referred to for a while. schedules are all that the kernel has; nil
// stands for an unknown one.
func (x *targets) release(schedules map[uint32][]lbWgSlot) {
	referred := make(map[uint32]bool)
	for _, slots := range schedules {
		if slots == nil {
			return
		}
		for _, s := range slots[1:] {
			referred[uint32(s.Target)] = true
		}
	}
	for target, i := range x.index {
		since, idle := x.idle[i]
		switch {
		case referred[i]:
			delete(x.idle, i)
		case !idle:
			x.idle[i] = time.Now()
		case time.Since(since) >= grace:
			delete(x.idle, i)
			delete(x.index, target)
			x.mem[i] = lbWgTarget{}
			x.free = append(x.free, i)
		}
	}
}

// restore goes on with what a process before this one has left.
func (x *targets) restore() {
	for i, target := range x.mem {
		if i == 0 || target == (lbWgTarget{}) {
			continue
		}
		for ; x.next < uint32(i); x.next++ {
			x.free = append(x.free, x.next)
		}
		x.next = uint32(i) + 1
		x.index[target] = uint32(i)
	}
}
