package datapath

import (
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Places are the kernel's own counts of one limit, in memory that the caller shares with it: whoever takes a place of a
// limit adds to Taken first, by compare-and-swap, and never beyond the limit. So the limit is exact over both paths.
//
// The memory stays valid until the process ends, also after Close.
type Places struct {
	// Taken is the number of places taken on both paths, in its lower half; the upper half is the kernel's own.
	Taken *atomic.Int64
	// Waiting is the number of connections that wait in userspace for a place. While that of a service is not 0 all its
	// SYNs fall through. It is read with each SYN, so a change counts at once.
	Waiting *atomic.Int64
}

// ProcessPlaces returns the places of Desired.GlobalLimit.
func (dp *Datapath) ProcessPlaces() Places { return dp.obj.places(0) }

// ServicePlaces returns the places of a service's Limit. Its entry is kept from now on, whether the service is desired or not.
// name is what a later process finds the id by, where the kernel path is pinned; "" if nobody is to. Of two ids of one name it finds
// the one that got it last.
func (dp *Datapath) ServicePlaces(id uint32, name string) (Places, error) {
	return dp.share(gaugeKey{id: id}, "", name)
}

// ServerPlaces returns the places of a server's Limit, in the same way. backend is not "" if name is not.
func (dp *Datapath) ServerPlaces(id uint32, backend, name string) (Places, error) {
	return dp.share(gaugeKey{server: true, id: id}, backend, name)
}

// UnshareServer ends what ServerPlaces began: the entry goes once the server is desired no more and has no flow. Nobody
// may use its places after that.
func (dp *Datapath) UnshareServer(id uint32) { dp.unshare(gaugeKey{server: true, id: id}) }

// UnshareService ends what ServicePlaces began, in the same way.
func (dp *Datapath) UnshareService(id uint32) { dp.unshare(gaugeKey{id: id}) }

func (dp *Datapath) unshare(key gaugeKey) {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	delete(dp.shared, key)
	if !dp.closed {
		dp.retire()
	}
}

func (dp *Datapath) share(key gaugeKey, backend, name string) (Places, error) {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return Places{}, errClosed
	}
	index, err := dp.planner.gauges.get(key)
	if err != nil {
		return Places{}, fmt.Errorf("share the places of %d: %w", key.id, err)
	}
	if err := dp.book.name(key, backend, name); err != nil {
		return Places{}, err
	}
	dp.shared[key] = true
	delete(dp.retired, key)
	return dp.obj.places(index), nil
}

func (obj *object) places(index uint32) Places {
	obj.shared = true
	return Places{Taken: (*atomic.Int64)(unsafe.Pointer(&obj.loads[index])), Waiting: asCount(&obj.gauges[index].Waiting)}
}

// loadWord is an entry of wg_loads, which is read and changed as one word: struct wg_load.
type loadWord atomic.Uint64

// loadLimited is WG_LIMITED: the program asks for the limit only where this is set.
const loadLimited = 1 << 63

func (obj *object) load(index uint32) *loadWord {
	return (*loadWord)(unsafe.Pointer(&obj.loads[index]))
}

// open is the number of flows that have not ended.
func (l *loadWord) open() uint64 { return (*atomic.Uint64)(l).Load() &^ loadLimited >> 32 }

// clear sets all back.
func (l *loadWord) clear() { (*atomic.Uint64)(l).Store(0) }

// limit says whether there is a limit.
func (l *loadWord) limit(limited bool) {
	if limited {
		(*atomic.Uint64)(l).Or(loadLimited)
	} else {
		(*atomic.Uint64)(l).And(^uint64(loadLimited))
	}
}

// disown takes away the places of a userspace that is no more: what is left is the kernel path's own.
func (l *loadWord) disown() {
	word := (*atomic.Uint64)(l)
	for {
		have := word.Load()
		open := have &^ loadLimited >> 32
		if word.CompareAndSwap(have, have>>32<<32|open) {
			return
		}
	}
}

// asCount reads a counter of the kernel as Go's own atomic type, which has the same shape.
func asCount(n *uint64) *atomic.Int64 { return (*atomic.Int64)(unsafe.Pointer(n)) }
