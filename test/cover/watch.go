package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/cilium/ebpf"
)

// watchEvery is how often new maps are looked for. The verifier needs far longer for a program than this, and a program's maps are there
// before, so none is over before it is seen.
const watchEvery = 5 * time.Millisecond

// watch holds each map of probes that anybody on this machine loads, so that what is in it stays when the program is gone.
type watch struct {
	size  int
	last  ebpf.MapID
	maps  []*ebpf.Map
	stop  chan struct{}
	ended chan error
}

// newWatch makes one for maps of so many bytes, and passes by what there is already.
func newWatch(size int) (*watch, error) {
	w := &watch{size: size, stop: make(chan struct{}), ended: make(chan error, 1)}
	if err := w.look(); err != nil {
		return nil, err
	}
	return w, w.release()
}

func (w *watch) start() {
	go func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-w.stop:
				w.ended <- w.look()
				return
			case <-tick.C:
				if err := w.look(); err != nil {
					w.ended <- err
					return
				}
			}
		}
	}()
}

// look holds what is new; numbers of maps rise.
func (w *watch) look() error {
	for {
		id, err := ebpf.MapGetNextID(w.last)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("look for maps: %w", err)
		}
		w.last = id
		m, err := ebpf.NewMapFromID(id)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("open map %d: %w", id, err)
		}
		info, err := m.Info()
		if err != nil || info.Name != coverMap || int(info.ValueSize) != w.size {
			if err := m.Close(); err != nil {
				return err
			}
			continue
		}
		w.maps = append(w.maps, m)
	}
}

// end adds up what the maps say, and lets go of them. It is called once.
func (w *watch) end(taken []byte) error {
	close(w.stop)
	if err := <-w.ended; err != nil {
		return errors.Join(err, w.release())
	}
	if len(w.maps) == 0 {
		return errors.New("the tests have loaded no program with probes")
	}
	for _, m := range w.maps {
		value := make([]byte, w.size)
		if err := m.Lookup(uint32(0), &value); err != nil {
			return errors.Join(fmt.Errorf("read the probes: %w", err), w.release())
		}
		for i, b := range value {
			taken[i] |= b
		}
	}
	return w.release()
}

func (w *watch) release() (err error) {
	for _, m := range w.maps {
		err = errors.Join(err, m.Close())
	}
	w.maps = nil
	return err
}
