package proxy

import (
	"slices"
	"strconv"

	"waggle/pkg/proxy/h1"
	"waggle/pkg/proxy/h2"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/sample"
)

// lane is the client of a session that is a stream of HTTP/2. It takes the place of a socket behind the session's conn: it gives
// the request as HTTP/1.1, and takes the response as that.
type lane struct {
	m      *mux
	id     uint32
	c      *conn // the session's
	method h1.Method

	// The request.
	body    []buffer // of its payload that the session has yet to take
	chunked bool     // it is passed on in chunks, since nobody knows its length
	length  int64    // that the head told; -1: none
	got     int64    // of it
	trailer []byte   // field lines behind the body
	ended   bool     // all of it has come
	given   bool     // and has been given to the session
	recv    int64    // what the client may send
	unacked int      // what has been taken of that, and not told
	touch   bool     // in m.touched

	// The response.
	resp    h1.Response
	state   laneState
	left    int64 // of a body with a length
	chunks  h1.Chunked
	behind  []byte // trailer section of a body in chunks
	send    int64  // what the client takes
	sent    bool   // the end of the stream is written
	reset   bool   // or the stream has been reset, by either side
	telling bool   // in m.told

	cancelled bool // the client has reset it, and may say nothing about it any more
}

// laneState is how far the response is written.
type laneState uint8

const (
	laneHead laneState = iota
	laneLength
	laneChunks
	laneTrailer
	laneUntilClose
	laneOver
)

// noSocket is the descriptor of a conn that is a lane. It is none: whatever would act on a socket fails.
const noSocket = 1 << 30

// openLane begins a session on a stream whose head, as HTTP/1.1, is in.
func (m *mux) openLane(id uint32, in buffer, ends bool) {
	w, g := m.w, m.g
	l, ok := w.lanes.take()
	if !ok {
		l = &lane{}
		l.resp.Limits = h1.Limits{MaxHead: 2 * w.buffers.size, MaxFields: w.buffers.size} // it is our own
	}
	l.m, l.id, l.method, l.length = m, id, m.request.Method(), m.request.Length()
	l.chunked = !ends && l.length < 0
	l.ended, l.given = ends, !l.chunked
	l.recv, l.send = streamWindow, m.initial
	m.lanes[id] = l
	p := m.side
	s := w.newGuestSession(g, p)
	s.fresh()
	l.c = &s.client
	*l.c = conn{w: w, fd: noSocket, rank: loop.Clients, owner: s, peer: p, lane: l, in: in, got: int64(in.len()), canRead: !ends, canWrite: true}
	s.reset()
	s.msg.vars[sample.Session].Reset()
	w.loop.Arm(&s.clientTimer, s.fe.timeouts.httpRequest)
	s.open()
	if m.lanes[id] == l { // rules may have turned it away
		m.touchLane(l)
	}
}

// touchLane has the session look at what has come once all that was read has been looked at.
func (m *mux) touchLane(l *lane) {
	if !l.touch {
		l.touch = true
		m.touched = append(m.touched, l)
	}
}

func (m *mux) tellTouched() {
	for len(m.touched) > 0 {
		l := shift(&m.touched)
		l.touch = false
		l.c.owner.advance()
	}
}

// shift takes the first lane out of a list, in place.
func shift(list *[]*lane) *lane {
	l := (*list)[0]
	*list = slices.Delete(*list, 0, 1)
	return l
}

// tellLane has the session learn what came of writing.
func (m *mux) tellLane(l *lane) {
	if !l.telling {
		l.telling = true
		m.told = append(m.told, l)
	}
}

func (m *mux) tell() {
	for len(m.told) > 0 {
		l := shift(&m.told)
		l.telling = false
		if l.sent {
			l.c.canRead = !l.c.eof
		}
		l.c.owner.advance()
	}
}

// stage keeps a piece of the body until the session takes it.
func (l *lane) stage(b []byte) {
	l.got += int64(len(b))
	for len(b) > 0 {
		n := len(l.body)
		if n == 0 || l.body[n-1].room() == 0 {
			l.body = append(l.body, buffer{})
			l.m.w.buffers.borrow(&l.body[n])
			n++
		}
		last := &l.body[n-1]
		k := copy(last.free(), b)
		last.w += k
		b = b[k:]
	}
	l.hear()
}

// hear has the session read.
func (l *lane) hear() {
	l.c.canRead = !l.c.eof
	l.m.touchLane(l)
}

// fill is conn.fill for a lane. The end of what the client says, which is that of the stream, is told only when the response
// has been written: before that it would look as if the client had gone.
func (l *lane) fill() bool {
	c := l.c
	c.w.buffers.borrow(&c.in)
	if c.in.room() == 0 {
		if c.in.compact(); c.in.room() == 0 {
			return false
		}
	}
	from := c.in.w
	l.deliver()
	if n := c.in.w - from; n > 0 {
		c.got += int64(n)
		c.active = true
		return true
	}
	if len(l.body) > 0 || l.ended && !l.given { // there is no room for it
		return false
	}
	c.canRead = false
	c.eof = l.sent
	c.dropEmpty()
	return c.eof
}

// deliver moves what has come into the session's buffer, as far as there is room.
func (l *lane) deliver() {
	in := &l.c.in
	for len(l.body) > 0 {
		first := &l.body[0]
		n := l.put(first.bytes())
		if n == 0 {
			return
		}
		l.m.passed(l, n)
		if first.consume(n); first.len() == 0 {
			l.dropFirst()
		}
	}
	if l.ended && !l.given && in.room() >= len("0\r\n\r\n")+len(l.trailer) {
		out := append(in.data[:in.w], "0\r\n"...)
		out = append(append(out, l.trailer...), "\r\n"...)
		in.w = len(out)
		l.given = true
	}
}

func (l *lane) dropFirst() {
	l.m.w.buffers.giveBack(&l.body[0])
	n := copy(l.body, l.body[1:])
	l.body[n] = buffer{}
	l.body = l.body[:n]
}

// put writes as much of b as there is room for, in a chunk if that is how the body is passed on.
func (l *lane) put(b []byte) int {
	in := &l.c.in
	if !l.chunked {
		n := copy(in.free(), b)
		in.w += n
		return n
	}
	const around = len("ffffff\r\n\r\n")
	n := min(len(b), in.room()-around)
	if n <= 0 {
		return 0
	}
	out := strconv.AppendInt(in.data[:in.w], int64(n), 16)
	out = append(append(append(out, "\r\n"...), b[:n]...), "\r\n"...)
	in.w = len(out)
	return n
}

// push is conn.push for a lane.
func (l *lane) push() bool {
	m := l.m
	for l.c.out.len() > 0 && !m.dead && !m.jammed && !l.reset {
		before := m.c.out.len()
		what := m.pull(l)
		l.c.canWrite = l.c.canWrite && what != pulledBlocked
		if what != pulledFull || before == 0 || !m.c.push() {
			break
		}
	}
	m.schedule()
	return l.c.out.len() == 0
}

// lose has the session find its client gone.
func (l *lane) lose() {
	l.reset = true
	l.c.fail()
	l.c.queued = false
}

// end is the session's word that it is done with the stream. abort says that the client must be able to see that something is
// missing.
func (l *lane) end(abort bool) {
	m := l.m
	if !m.dead {
		l.finish(abort)
		m.schedule()
	}
	if m.lanes[l.id] == l {
		delete(m.lanes, l.id)
	}
	m.ready, m.touched, m.told = without(m.ready, l), without(m.touched, l), without(m.told, l)
	for len(l.body) > 0 {
		m.credit(l.body[0].len())
		l.dropFirst()
	}
	l.c.lane = nil
	l.resp.Reset()
	*l = lane{body: l.body, trailer: l.trailer[:0], behind: l.behind[:0], resp: l.resp}
	m.w.lanes.put(l)
}

// finish ends the stream, if it has not ended.
func (l *lane) finish(abort bool) {
	m := l.m
	switch {
	case l.reset:
	case l.sent:
		if !l.ended { // the response has overtaken the request (RFC 9113, section 8.1)
			m.resetStream(l.id, h2.NoError)
		}
	case !abort && l.state == laneUntilClose && l.c.out.len() == 0:
		m.wrote(h2.Frame{Type: h2.Data, Flags: h2.EndStream, Stream: l.id}.Append(m.control()))
		if !l.ended {
			m.resetStream(l.id, h2.NoError)
		}
	default:
		m.resetStream(l.id, h2.InternalError)
	}
}

// without removes a lane from a list.
func without(list []*lane, l *lane) []*lane {
	kept := list[:0]
	for _, other := range list {
		if other != l {
			kept = append(kept, other)
		}
	}
	clear(list[len(kept):])
	return kept
}
