package proxy

import "waggle/pkg/proxy/h2"

// fail has the connection end with GOAWAY, once whoever is at work with it is done.
func (m *mux) fail(why h2.Code) {
	if !m.doomed {
		m.doomed, m.doom = true, why
	}
}

// close tells the client that it is over, and waits for it to close: closing at once could lose what it has not read yet.
func (m *mux) close() {
	m.closing = true
	m.endLanes()
	if out := m.control(); cap(out)-len(out) >= h2.ControlSize {
		m.wrote(h2.AppendGoAway(out, m.last(), m.doom))
	}
	if !m.c.push() {
		m.die()
		return
	}
	m.c.finish()
	m.wait(waitClose, lingerTime)
	m.advance()
}

// endLanes ends all streams, as if the client had gone.
func (m *mux) endLanes() {
	for _, l := range m.lanes {
		l.lose()
	}
	for len(m.lanes) > 0 {
		for _, l := range m.lanes {
			l.c.owner.advance()
			if m.lanes[l.id] == l { // it has not ended, which cannot be
				delete(m.lanes, l.id)
			}
			break
		}
	}
}

// die ends the connection at once.
func (m *mux) die() {
	if m.dead {
		return
	}
	m.dead = true
	m.endLanes()
	m.w.loop.Drop(&m.timer)
	m.w.loop.Drop(&m.restTimer)
	m.c.close()
	m.block.buf = nil
	delete(m.w.muxes, m)
	if m.g.mux = nil; m.g.conn == nil {
		m.g.left()
	}
	m.w.maybeStop()
}

// sever has the connection end with the loop's next round: those who work with its streams now find it whole.
func (m *mux) sever() {
	if !m.severed {
		m.severed = true
		m.w.loop.Again(m)
	}
}

// leave tells the client to open no stream any more; the connection ends with the last one. Those that it has opened meanwhile
// are served; it answers the PING when it knows (RFC 9113, section 6.8).
func (m *mux) leave() {
	if m.parting || m.closing || m.dead {
		return
	}
	m.leaving, m.parting = true, true
	m.wrote(h2.AppendGoAway(m.control(), h2.MaxStreamID, h2.NoError))
	m.wrote(h2.AppendPing(m.control(), farewell))
}

// farewell is what the client returns when it knows that it is to open no stream any more.
const farewell = "farewell"

// parted says which stream is the last.
func (m *mux) parted() {
	if m.parting && m.final == 0 {
		m.final = max(m.lastID, 1)
		m.wrote(h2.AppendGoAway(m.control(), m.final, h2.NoError))
	}
}

// after says that a stream has been opened by a client who knows better.
func (m *mux) after(id uint32) bool { return m.final > 0 && id > m.final }

// last is the last stream that is, or may be, served; it never grows once it was told.
func (m *mux) last() uint32 {
	if m.final > 0 {
		return min(m.final, m.lastID)
	}
	return m.lastID
}

// leaveMuxes does that for all connections of HTTP/2.
func (w *worker) leaveMuxes() {
	for m := range w.muxes {
		m.leave()
	}
}
