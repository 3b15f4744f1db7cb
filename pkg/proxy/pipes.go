package proxy

import (
	"sync/atomic"
	"time"

	"waggle/pkg/proxy/sock"
)

// pipes is a loop's bounded store of pipes. A pipe costs two descriptors and up to a megabyte of kernel
// memory while it is full, so when the bound is reached streams are copied instead.
type pipes struct {
	free       []*sock.Pipe
	max        int
	made, used atomic.Int64  // the loop alone changes them; statistics read them
	moved      atomic.Uint64 // bytes that came out of them
}

// get returns an empty pipe, nil when none is to be had.
func (p *pipes) get() *sock.Pipe {
	if n := len(p.free); n > 0 {
		pipe := p.free[n-1]
		p.free = p.free[:n-1]
		p.used.Add(1)
		return pipe
	}
	if p.made.Load() >= int64(p.max) {
		return nil
	}
	pipe, err := sock.NewPipe()
	if err != nil { // out of descriptors: copying works too
		return nil
	}
	p.made.Add(1)
	p.used.Add(1)
	return pipe
}

// put takes an empty pipe back.
func (p *pipes) put(pipe *sock.Pipe) {
	p.free = append(p.free, pipe)
	p.used.Add(-1)
}

// discard closes a pipe that is not empty.
func (p *pipes) discard(pipe *sock.Pipe) {
	pipe.Close()
	p.made.Add(-1)
	p.used.Add(-1)
}

func (p *pipes) close() {
	for _, pipe := range p.free {
		pipe.Close()
		p.made.Add(-1)
	}
	p.free = nil
}

// Spliced is how many bytes have gone to clients and servers without a copy. It is safe for concurrent use.
func (e *Engine) Spliced() (bytes uint64) {
	for _, w := range e.workers {
		bytes += w.pipes.moved.Load()
	}
	return bytes
}

// IdleTime is for how long the event loops have had nothing to do since the start, all of them together. It is safe for concurrent use.
func (e *Engine) IdleTime() (idle time.Duration) {
	for _, w := range e.workers {
		idle += w.loop.IdleTime()
	}
	return idle
}

// Pipes tells how many pipes there may be, how many there are, and how many of those hold data now. It is safe for
// concurrent use.
func (e *Engine) Pipes() (limit, made, used int) {
	for _, w := range e.workers {
		limit += w.pipes.max
		made += int(w.pipes.made.Load())
		used += int(w.pipes.used.Load())
	}
	return limit, made, used
}
