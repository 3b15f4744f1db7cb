package datapath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
)

// Reload loads the program anew and puts it in the place of the one that runs. The maps stay, so flows go on, and each
// interface has the one or the other at any moment. When it fails the interfaces that were not reached keep what they have.
func (dp *Datapath) Reload() error {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return errClosed
	}
	programs, err := dp.obj.loadAgain(dp.opts, func(*ebpf.CollectionSpec) error { return nil })
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range dp.attached {
		if err := a.replace(programs.WgIngress); err != nil {
			errs = append(errs, fmt.Errorf("replace the program on %s: %w", a.link.name, err))
		}
	}
	if len(errs) > 0 {
		return errors.Join(append(errs, programs.Close())...)
	}
	if dp.stopwatch != nil {
		if err := dp.stopwatch.retire(dp.obj.WgIngress, dp.obj.express); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, dp.reloadExpress())
	// The collector keeps its program, which is in use at this moment; interfaces that come get the new one.
	dp.obj.WgIngress, programs.WgIngress = programs.WgIngress, dp.obj.WgIngress
	return errors.Join(append(errs, programs.Close())...)
}

// reloadExpress does the same for the program for XDP. Either of the two programs works with either of the other's.
func (dp *Datapath) reloadExpress() error {
	if dp.obj.express == nil {
		return nil
	}
	express, err := dp.obj.loadExpress()
	if err != nil {
		return err
	}
	var errs []error
	for _, a := range dp.attached {
		if a.express == nil {
			continue
		}
		if err := a.express.Update(express); err != nil {
			errs = append(errs, fmt.Errorf("replace the program for XDP on %s: %w", a.link.name, err))
		}
	}
	dp.obj.express, express = express, dp.obj.express
	return errors.Join(append(errs, express.Close())...)
}
