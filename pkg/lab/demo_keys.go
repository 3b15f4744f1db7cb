package lab

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// interact obeys keys until the user or ctx ends the demo, or the balancer dies.
func (d *demo) interact(ctx context.Context) error {
	keys, stop := readKeys(d.opts.In)
	defer stop()
	d.out.help()
	for {
		select {
		case <-ctx.Done():
			d.out.line("\nended: removing all of it")
			return nil
		case <-d.balancer.Done():
			return d.balancerEnded()
		case key, ok := <-keys:
			if !ok {
				keys = nil // no more keys: stay until ctx ends
				continue
			}
			if key == 'q' {
				d.out.line("quit: removing all of it")
				return nil
			}
			if err := d.obey(ctx, key); err != nil {
				return err
			}
		}
	}
}

func (d *demo) obey(ctx context.Context, key byte) error {
	n := len(d.lab.Tasks(demoService))
	switch key {
	case '+', '=':
		n = min(n+1, maxDemoTasks)
	case '-', '_':
		n = max(n-1, 0)
	case ' ', '\r':
	default:
		return nil
	}
	if n != len(d.lab.Tasks(demoService)) {
		d.out.scaling(n)
		if err := d.lab.Scale(ctx, demoService, n); err != nil {
			return err
		}
	}
	if err := d.show(ctx); errors.Is(err, errBalancerEnded) || ctx.Err() != nil {
		return err
	} else if err != nil {
		d.out.problem(err)
	}
	d.out.help()
	return nil
}

// readKeys delivers the bytes of in until its end or stop, which returns when no goroutine reads in any more.
// A terminal gives single keys until then. A reader that is not a file must come to an end by itself.
func readKeys(in io.Reader) (keys <-chan byte, stop func()) {
	out, stopping, stopped := make(chan byte), make(chan struct{}), make(chan struct{})
	file, isFile := in.(*os.File)
	if in == nil || (isFile && file == nil) {
		close(out)
		return out, func() {}
	}
	ready, interrupt, restore := func() bool { return true }, func(<-chan struct{}) {}, func() {}
	if isFile {
		ready, interrupt = readiness(file)
		restore = singleKeys(int(file.Fd()))
	}
	go func() {
		defer close(stopped)
		defer close(out)
		var key [1]byte
		for ready() {
			n, err := in.Read(key[:])
			if n == 1 {
				select {
				case out <- key[0]:
				case <-stopping:
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return out, func() {
		close(stopping)
		interrupt(stopped)
		restore()
	}
}

// readiness returns a function that waits until f can be read, and one that makes it return false and waits
// until its caller has stopped. A read of a terminal cannot be interrupted, so none is begun before there is
// something to read.
func readiness(f *os.File) (ready func() bool, interrupt func(stopped <-chan struct{})) {
	wake, waker, err := os.Pipe()
	if err != nil {
		return func() bool { return false }, func(stopped <-chan struct{}) { <-stopped }
	}
	ready = func() bool {
		for {
			fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}, {Fd: int32(wake.Fd()), Events: unix.POLLIN}}
			if _, err := unix.Poll(fds, -1); !errors.Is(err, unix.EINTR) {
				return err == nil && fds[1].Revents == 0
			}
		}
	}
	return ready, func(stopped <-chan struct{}) {
		_ = waker.Close()
		<-stopped
		_ = wake.Close()
	}
}

// singleKeys makes a terminal deliver keys without Enter and without echo; Ctrl-C stays a signal. It returns
// what undoes it. Anything but the terminal of a foreground job is left alone: the change would stop the job.
func singleKeys(fd int) (restore func()) {
	old, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return func() {}
	}
	if group, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || group != unix.Getpgrp() {
		return func() {}
	}
	single := *old
	single.Lflag &^= unix.ICANON | unix.ECHO
	single.Cc[unix.VMIN], single.Cc[unix.VTIME] = 1, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS, &single); err != nil {
		return func() {}
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, old) }
}
