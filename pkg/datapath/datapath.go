package datapath

import (
	"context"
	"errors"
)

// Datapath is the loaded and attached program. All methods are safe for concurrent use.
type Datapath struct {
	opts Options
}

// Open loads the program and attaches it. ctx bounds the opening only; the Datapath lives until Close.
// When the machine or its privileges do not allow it, the error is an *UnavailableError.
// Until the first Sync no connection is taken.
func Open(ctx context.Context, opts Options) (*Datapath, error) {
	return nil, &UnavailableError{Problem: "not built yet", Err: errors.ErrUnsupported}
}

// Sync makes the kernel hold what d says. It may be called as often as things change; equal states cost a comparison.
// An error means that part of d could not be put in place; calling again tries again.
func (dp *Datapath) Sync(d Desired) error { return errors.ErrUnsupported }

// Counters reads all counters; cheap enough for every second.
func (dp *Datapath) Counters() Snapshot { return Snapshot{} }

// Flows calls yield for each flow in the table, in no order, until it returns false.
func (dp *Datapath) Flows(yield func(Flow) bool) error { return errors.ErrUnsupported }

// Status says how the kernel path stands.
func (dp *Datapath) Status() Status { return Status{Mode: dp.opts.Mode} }

// Close detaches the program and frees all maps; live flows end. It waits for all goroutines of the Datapath.
func (dp *Datapath) Close() error { return nil }

// Reasons lists every reason that Snapshot.Reasons counts.
func Reasons() []Reason { return nil }
