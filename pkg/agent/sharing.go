package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"waggle/pkg/datapath"
	"waggle/pkg/pool"
)

// shareAgainEvery is how often it is tried again to count places on both paths where that has failed.
const shareAgainEvery = time.Second

// shareAgainPatience is how long such a try waits for the event loops to stand still. They do within milliseconds, or the next try has it.
const shareAgainPatience = 100 * time.Millisecond

// placer is where the kernel path counts places.
type placer struct {
	service func(dp *datapath.Datapath, id uint32, frontend string) (datapath.Places, error)
	server  func(dp *datapath.Datapath, id uint32, backend, name string) (datapath.Places, error)
}

var kernelPlaces = placer{(*datapath.Datapath).ServicePlaces, (*datapath.Datapath).ServerPlaces}

// noteShared notes how it went to have both paths share their places. While it fails for a frontend, or one of its servers, the kernel
// path takes no connection of it: two counts of one limit could add up to twice the limit. It runs where reloads do.
func (k *kernel) noteShared(err error) {
	k.mu.Lock()
	news, failed := k.unshared.Note(err)
	k.mu.Unlock()
	if news && err != nil {
		k.log.Warn("the two paths cannot count their places together; the frontends that this is about are served in userspace meanwhile", "err", err, "failed_tries", failed)
	} else if news {
		k.log.Info("the two paths count their places together", "failed_tries", failed)
	}
	switch {
	case err != nil && k.sharing == nil:
		k.sharing = time.NewTicker(shareAgainEvery)
	case err == nil && k.sharing != nil:
		k.sharing.Stop()
		k.sharing = nil
	}
}

// shareAgain tells when to try again to share places; nil: all are.
func (k *kernel) shareAgain() <-chan time.Time {
	if k.sharing == nil {
		return nil
	}
	return k.sharing.C
}

// sharePlaces tries again. Userspace stands still for it only once nothing else is in the way. It runs where reloads do.
func (a *Agent) sharePlaces(ctx context.Context) {
	err := a.kernel.reserve()
	if err == nil {
		still, cancel := context.WithTimeout(ctx, shareAgainPatience)
		defer cancel()
		verdicts := a.now().verdicts
		if err = a.engine.StandStill(still, func() { a.kernel.begin(verdicts) }); err == nil {
			return
		}
	}
	a.kernel.noteShared(err)
}

// hasBegun tells whether begin has run since the kernel path was opened, or a reload in its place.
func (k *kernel) hasBegun() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.begun
}

// counts tells whether all places that a connection of a service takes are counted on both paths.
func (k *kernel) counts(s *service) bool {
	if k.path() == nil {
		return true
	}
	if !k.plan().pool.Process.Conns.Shared() || !s.frontend.Sessions.Shared() {
		return false
	}
	for _, t := range s.backend.Snapshot().Targets {
		if !t.Server.Sessions.Shared() {
			return false
		}
	}
	return true
}

// reserve has the kernel path make ready all that share asks it for.
func (k *kernel) reserve() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	dp := k.path()
	errs := []error{k.retain()}
	for _, s := range k.plan().services {
		_, err := k.placer.service(dp, s.id, s.frontend.Name)
		errs = append(errs, err)
		for _, server := range s.backend.Servers() {
			if !server.Sessions.Shared() {
				_, err := k.placer.server(dp, k.servers.id(server), server.Backend.Name, server.Name)
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// shareService returns the flag that queues raise; nil if there is no kernel path.
func (k *kernel) shareService(s *service) (*atomic.Int64, error) {
	dp := k.path()
	if dp == nil {
		return nil, nil
	}
	places, err := k.placer.service(dp, s.id, s.frontend.Name)
	if err != nil {
		return nil, err
	}
	if !s.frontend.Sessions.Shared() {
		s.frontend.Sessions.Share(places.Taken)
		s.frontend.ShareHold(places.Waiting)
	}
	return places.Waiting, nil
}

func (k *kernel) shareServer(s *pool.Server) error {
	dp := k.path()
	if dp == nil || s.Sessions.Shared() {
		return nil
	}
	places, err := k.placer.server(dp, k.servers.id(s), s.Backend.Name, s.Name)
	if err != nil {
		return err
	}
	s.Sessions.Share(places.Taken)
	return nil
}
