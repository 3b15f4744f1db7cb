package proxy

import "waggle/pkg/proxy/sock"

// pipes is a loop's bounded store of pipes. A pipe costs two descriptors and up to a megabyte of kernel
// memory while it is full, so when the bound is reached streams are copied instead.
type pipes struct {
	free []*sock.Pipe
	made int
	max  int
}

// get returns an empty pipe, nil when none is to be had.
func (p *pipes) get() *sock.Pipe {
	if n := len(p.free); n > 0 {
		pipe := p.free[n-1]
		p.free = p.free[:n-1]
		return pipe
	}
	if p.made >= p.max {
		return nil
	}
	pipe, err := sock.NewPipe()
	if err != nil { // out of descriptors: copying works too
		return nil
	}
	p.made++
	return pipe
}

// put takes an empty pipe back.
func (p *pipes) put(pipe *sock.Pipe) { p.free = append(p.free, pipe) }

// discard closes a pipe that is not empty.
func (p *pipes) discard(pipe *sock.Pipe) {
	pipe.Close()
	p.made--
}

func (p *pipes) close() {
	for _, pipe := range p.free {
		p.discard(pipe)
	}
	p.free = nil
}
