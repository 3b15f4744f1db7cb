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
	// Taken is the number of places taken on both paths.
	Taken *atomic.Int64
	// Waiting is the number of connections that wait in userspace for a place. While that of a service is not 0 all its
	// SYNs fall through. It is read with each SYN, so a change counts at once.
	Waiting *atomic.Int64
}

// ProcessPlaces returns the places of Desired.GlobalLimit.
func (dp *Datapath) ProcessPlaces() Places { return dp.obj.places(0) }

// ServicePlaces returns the places of a service's Limit. Its entry is kept from now on, whether the service is desired or not.
// name is what a later process finds the id by, where the kernel path is pinned; "" if nobody is to.
func (dp *Datapath) ServicePlaces(id uint32, name string) (Places, error) {
	return dp.share(gaugeKey{id: id}, name)
}

// ServerPlaces returns the places of a server's Limit, in the same way.
func (dp *Datapath) ServerPlaces(id uint32, name string) (Places, error) {
	return dp.share(gaugeKey{server: true, id: id}, name)
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

func (dp *Datapath) share(key gaugeKey, name string) (Places, error) {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return Places{}, errClosed
	}
	index, err := dp.planner.gauges.get(key)
	if err != nil {
		return Places{}, fmt.Errorf("share the places of %d: %w", key.id, err)
	}
	if err := dp.book.name(key, name); err != nil {
		return Places{}, err
	}
	dp.shared[key] = true
	delete(dp.retired, key)
	return dp.obj.places(index), nil
}

func (obj *object) places(index uint32) Places {
	obj.shared = true
	g := &obj.gauges[index]
	return Places{Taken: asCount(&g.Taken), Waiting: asCount(&g.Waiting)}
}

// asCount reads a counter of the kernel as Go's own atomic type, which has the same shape.
func asCount(n *uint64) *atomic.Int64 { return (*atomic.Int64)(unsafe.Pointer(n)) }
