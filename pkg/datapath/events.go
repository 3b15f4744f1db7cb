package datapath

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/ringbuf"
)

// events reads wg_events.
type events struct {
	ring *ringbuf.Reader
	// closed is Options.OnClose.
	closed func(Closed)
}

func openEvents(obj *object, closed func(Closed)) (*events, error) {
	ring, err := ringbuf.NewReader(obj.WgEvents)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", obj.WgEvents, err)
	}
	return &events{ring: ring, closed: closed}, nil
}

// run hands on events until the reader is closed. The kernel never waits for it: what finds the ring full is lost and counted.
func (e *events) run() error {
	var record ringbuf.Record
	for {
		err := e.ring.ReadInto(&record)
		switch {
		case errors.Is(err, ringbuf.ErrClosed):
			return nil
		case err != nil:
			return fmt.Errorf("read events: %w", err)
		case len(record.RawSample) < int(unsafe.Sizeof(lbWgEvent{})):
			return fmt.Errorf("read events: one of %d bytes", len(record.RawSample))
		}
		// Aligned: a record of the ring begins at a multiple of 8, and its copy on the heap does too.
		event := *(*lbWgEvent)(unsafe.Pointer(unsafe.SliceData(record.RawSample)))
		e.closed(makeClosed(&event, time.Now(), monotonicNow()))
	}
}

func (e *events) close() error { return e.ring.Close() }

// lostEvents is the number of events that found no room in the ring.
func (obj *object) lostEvents() (sum uint64, err error) {
	perCPU := make([]uint64, ebpf.MustPossibleCPU())
	if err := obj.WgLost.Lookup(uint32(0), perCPU); err != nil {
		return 0, fmt.Errorf("read %s: %w", obj.WgLost, err)
	}
	for _, n := range perCPU {
		sum += n
	}
	return sum, nil
}
