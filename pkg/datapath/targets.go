package datapath

import (
	"fmt"
	"sync/atomic"
	"time"
	"unsafe"
)

// targets is wg_targets: what slots of schedules lead to. An entry is written before any schedule refers to it and never changed
// while one does, so that no packet sees half of it: a server that changes gets another entry, and with it another schedule.
// All that changes is its next source port, which packets take, and what is known of its way.
// Not safe for concurrent use.
type targets struct {
	mem   []lbWgTarget          // wg_targets
	index map[lbWgTarget]uint32 // by all that stays
	// last is the newest entry of a server.
	last map[uint32]uint32
	// own is wg_own_macs; entries stay, since there are few interfaces.
	own []lbWgOwnMac
	// port, if set, is where the source ports of a new server begin.
	port func() uint32
	// idle are those that no schedule refers to, and since when.
	idle map[uint32]time.Time
	free []uint32
	next uint32
}

func newTargets(mem []lbWgTarget, own []lbWgOwnMac) *targets {
	return &targets{mem: mem, own: own, index: make(map[lbWgTarget]uint32), last: make(map[uint32]uint32), idle: make(map[uint32]time.Time), next: 1}
}

// get returns the index of the entry that holds target, which is not zero, and zero in what does not stay.
func (x *targets) get(target lbWgTarget) (uint32, error) {
	if i, ok := x.index[target]; ok {
		x.last[target.Server] = i
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
	x.index[target] = i
	target.Ports = x.nextPort(target)
	x.mem[i] = target
	x.last[target.Server] = i
	return i, nil
}

// nextPort is where the source ports of a new entry begin: where those of the one before stop, if that is of the same address.
func (x *targets) nextPort(target lbWgTarget) uint32 {
	if i, ok := x.last[target.Server]; ok {
		if before := &x.mem[i]; before.Addr == target.Addr && before.Port == target.Port {
			return atomic.LoadUint32(&before.Ports)
		}
	}
	if x.port == nil {
		return 0
	}
	return x.port()
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
			if x.last[target.Server] == i {
				delete(x.last, target.Server)
			}
			x.mem[i] = lbWgTarget{}
			x.free = append(x.free, i)
		}
	}
}

// restore goes on with what a process before this one has left.
func (x *targets) restore() {
	for i, target := range x.mem {
		target.Ports, target.To, target.Used = 0, lbWgTarget{}.To, 0
		x.setMAC(uint32(i), 0)
		if i == 0 || target == (lbWgTarget{}) {
			continue
		}
		for ; x.next < uint32(i); x.next++ {
			x.free = append(x.free, x.next)
		}
		x.next = uint32(i) + 1
		x.index[target], x.last[target.Server] = uint32(i), uint32(i)
	}
}

// follow takes over what is known of the ways.
func (x *targets) follow(w *ways) {
	for target, i := range x.index {
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
	for target, i := range x.index {
		if x.mem[i].Used == 0 {
			continue
		}
		x.mem[i].Used = 0
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
