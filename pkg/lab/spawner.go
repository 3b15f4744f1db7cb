package lab

import (
	"fmt"
	"os/exec"
	"runtime"
	"sync"

	"github.com/vishvananda/netns"
)

// spawner starts the processes of a lab from one thread that lives as long as the lab: the kernel sends a
// child its parent-death signal when the thread that forked it exits (prctl(2), PR_SET_PDEATHSIG), and Go's
// ordinary threads come and go.
type spawner struct {
	mu     sync.Mutex
	closed bool
	jobs   chan func()
	done   chan struct{}
}

func newSpawner() *spawner {
	s := &spawner{jobs: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		for job := range s.jobs {
			job()
		}
	}()
	return s
}

// start starts cmd in the network namespace ns.
func (s *spawner) start(ns netns.NsHandle, cmd *exec.Cmd) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed
	}
	result := make(chan error, 1)
	s.jobs <- func() {
		result <- onSpawnerThread(ns, cmd)
	}
	return <-result
}

// onSpawnerThread goes back to the namespace it came from: this may be the first thread of the process,
// which outlives its goroutine and would keep the lab's namespace alive.
func onSpawnerThread(ns netns.NsHandle, cmd *exec.Cmd) error {
	origin, err := netns.Get()
	if err != nil {
		return fmt.Errorf("remember namespace: %w", err)
	}
	defer origin.Close()
	if err := netns.Set(ns); err != nil {
		return fmt.Errorf("enter namespace: %w", err)
	}
	err = cmd.Start()
	if back := netns.Set(origin); back != nil {
		return fmt.Errorf("leave namespace: %w", back)
	}
	return err
}

// close ends the thread. The caller has ended all processes before.
func (s *spawner) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.jobs)
	}
	<-s.done
}
