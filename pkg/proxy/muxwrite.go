package proxy

import (
	"waggle/pkg/proxy/h1"
	"waggle/pkg/proxy/h2"
)

// pulled is what came of taking something from a lane.
type pulled uint8

const (
	pulledAll     pulled = iota // there is nothing more for now
	pulledBlocked               // the client's window is closed
	pulledFull                  // there is no room before something has been written
)

// want has what a session has written go out with the next flush.
func (m *mux) want(l *lane) {
	if l.c.queued || l.reset {
		return
	}
	l.c.queued = true
	m.ready = append(m.ready, l)
	m.schedule()
}

// gather fills the buffer from the streams, in turns. It gives the number of bytes that are waiting.
func (m *mux) gather() int {
	for range len(m.ready) {
		if len(m.ready) == 0 {
			break
		}
		l := m.ready[0]
		m.ready = m.ready[:copy(m.ready, m.ready[1:])]
		switch m.pull(l) {
		case pulledFull:
			m.ready = append(m.ready, l) // the next one comes first
			return m.c.out.len()
		case pulledBlocked:
			m.block1(l)
		default:
			l.c.queued = false
			if l.c.starved || l.sent || l.reset {
				l.c.starved = false
				m.tellLane(l)
			}
		}
	}
	return m.c.out.len()
}

// block1 has the session know that the client takes nothing of it.
func (m *mux) block1(l *lane) {
	l.c.queued, l.c.canWrite, l.c.starved = false, false, true
	m.tellLane(l)
}

// jam does that for all, since the connection takes nothing.
func (m *mux) jam() {
	m.jammed = true
	for _, l := range m.ready {
		m.block1(l)
	}
	clear(m.ready)
	m.ready = m.ready[:0]
}

// unjam undoes it.
func (m *mux) unjam() {
	m.jammed = false
	m.unblock()
	m.schedule()
}

// unblock has all go on that wait for the client.
func (m *mux) unblock() {
	for _, l := range m.lanes {
		m.unblock1(l)
	}
}

func (m *mux) unblock1(l *lane) {
	if l.c.out.len() > 0 && !l.c.canWrite && !l.c.lost && !m.jammed {
		l.c.canWrite = true
		m.want(l)
	}
}

// pull frames what a session has written: heads, and one frame of its body.
func (m *mux) pull(l *lane) pulled {
	c := l.c
	for {
		switch {
		case l.state == laneTrailer:
			return m.putTrailer(l)
		case c.out.len() == 0:
			m.w.buffers.giveBack(&c.out)
			return pulledAll
		case l.state == laneOver: // nobody has asked for more
			l.consume(c.out.len())
		case l.state != laneHead:
			return m.putBody(l)
		default:
			n, why := l.resp.Parse(c.out.bytes(), h1.Asked{Method: l.method})
			switch {
			case why != h1.OK, n == 0 && c.out.room() == 0, l.resp.Framing == h1.BodyTunnel && n > 0:
				m.breakLane(l)
				return pulledAll
			case n == 0:
				return pulledAll
			case !m.putHead(l, n):
				return pulledFull
			}
		}
	}
}

// consume takes n bytes that the session has written.
func (l *lane) consume(n int) {
	l.c.out.consume(n)
	l.c.given += int64(n)
	l.c.active = true
}

// breakLane ends a stream whose response is none.
func (m *mux) breakLane(l *lane) {
	m.resetStream(l.id, h2.InternalError)
	l.lose()
	m.tellLane(l)
}

// putHead writes a response's head of n bytes. It reports false where there is no room for it now.
func (m *mux) putHead(l *lane, n int) bool {
	block := m.w.block[:0]
	if !m.sizeTold {
		block = h2.AppendTableSize(block)
	}
	block = h2.AppendResponse(block, &l.resp)
	m.w.block = block
	ends := !l.resp.Interim() && l.resp.Framing == h1.BodyNone
	if !m.putBlock(l, block, ends) {
		return false
	}
	m.sizeTold = true
	l.consume(n)
	interim, framing, length := l.resp.Interim(), l.resp.Framing, l.resp.ContentLength
	l.resp.Reset()
	if interim {
		return true
	}
	switch framing {
	case h1.BodyLength:
		l.state, l.left = laneLength, length
	case h1.BodyChunked:
		l.state = laneChunks
		l.chunks.Reset()
	case h1.BodyUntilClose:
		l.state = laneUntilClose
	default:
		l.over()
	}
	return true
}

// over notes that the end of the stream is written.
func (l *lane) over() { l.state, l.sent = laneOver, true }

// putBlock writes a block of fields, in as many frames as it takes.
func (m *mux) putBlock(l *lane, block []byte, ends bool) bool {
	frames := max(1, (len(block)+h2.FrameSize-1)/h2.FrameSize)
	need := len(block) + frames*h2.FrameHead
	m.w.buffers.borrow(&m.c.out)
	if m.c.out.room() < need {
		if m.c.out.len() == 0 { // it never will
			m.breakLane(l)
			return true
		}
		return false
	}
	f := h2.Frame{Type: h2.Headers, Stream: l.id}
	if ends {
		f.Flags |= h2.EndStream
	}
	out := m.c.out.data[:m.c.out.w]
	for first := true; first || len(block) > 0; first = false {
		n := min(len(block), h2.FrameSize)
		if f.Length = n; n == len(block) {
			f.Flags |= h2.EndHeaders
		}
		out = append(f.Append(out), block[:n]...)
		block = block[n:]
		f.Type, f.Flags = h2.Continuation, 0
	}
	m.c.out.w = len(out)
	return true
}

// putTrailer writes what follows a body.
func (m *mux) putTrailer(l *lane) pulled {
	m.w.block = h2.AppendTrailer(m.w.block[:0], l.behind)
	if !m.putBlock(l, m.w.block, true) {
		return pulledFull
	}
	if !l.reset {
		l.over()
	}
	return pulledAll
}

// worthwhile is the least that a frame of a body holds where there is more.
const worthwhile = 1 << 10

// putBody writes one frame of a body.
func (m *mux) putBody(l *lane) pulled {
	m.w.buffers.borrow(&m.c.out)
	window := int(min(m.send, l.send))
	room := m.c.out.room() - h2.FrameHead - controlRoom
	switch {
	case room < min(l.c.out.len(), worthwhile):
		return pulledFull
	case l.state == laneChunks:
		return m.putChunks(l, max(0, min(room, window, h2.FrameSize)), window)
	case window <= 0:
		return pulledBlocked
	}
	n := min(l.c.out.len(), room, window, h2.FrameSize)
	ends := false
	if l.state == laneLength {
		n = int(min(int64(n), l.left))
		l.left -= int64(n)
		ends = l.left == 0
	}
	out := &m.c.out
	out.w += h2.FrameHead
	copy(out.free(), l.c.out.bytes()[:n])
	m.frameBody(l, n, ends)
	l.consume(n)
	return m.afterBody(l)
}

// frameBody finishes a frame of n bytes, for whose head there is room in front of what follows.
func (m *mux) frameBody(l *lane, n int, ends bool) {
	f := h2.Frame{Length: n, Type: h2.Data, Stream: l.id}
	if ends {
		f.Flags = h2.EndStream
		l.over()
	}
	out := &m.c.out
	f.Put(out.data[out.w-h2.FrameHead:])
	out.w += n
	m.send -= int64(n)
	l.send -= int64(n)
}

func (m *mux) afterBody(l *lane) pulled {
	switch {
	case l.c.out.len() == 0:
		m.w.buffers.giveBack(&l.c.out)
		return pulledAll
	case l.sent:
		return pulledAll
	case min(m.send, l.send) <= 0 && l.state != laneChunks:
		return pulledBlocked
	}
	return pulledFull
}

// putChunks writes the payload of chunks, at most so many bytes, in one frame. What frames them needs no window, so that an end
// without payload passes a closed one.
func (m *mux) putChunks(l *lane, most, window int) pulled {
	out := &m.c.out
	to := out.data[out.w+h2.FrameHead:][:0]
	b := l.c.out.bytes()
	at, done := 0, false
	for at < len(b) && !done {
		n := 1
		if data := l.chunks.Remaining(); data > 0 {
			if n = int(min(int64(len(b)-at), data, int64(most-len(to)))); n == 0 {
				break
			}
		}
		trailer := l.chunks.Trailer()
		from, end, used, over, why := l.chunks.Next(b[at : at+n])
		if why != h1.OK {
			m.breakLane(l)
			return pulledAll
		}
		to = append(to, b[at+from:at+end]...)
		if l.chunks.Trailer() > trailer {
			l.behind = append(l.behind, b[at:at+used]...)
		}
		at += used
		done = over
	}
	l.consume(at)
	trails := done && len(l.behind) > len("\r\n")
	if len(to) > 0 || done && !trails {
		out.w += h2.FrameHead
		m.frameBody(l, len(to), done && !trails)
	}
	switch {
	case trails:
		l.state = laneTrailer
		return m.putTrailer(l)
	case l.c.out.len() > 0 && !l.sent && window <= len(to):
		return pulledBlocked
	}
	return m.afterBody(l)
}
