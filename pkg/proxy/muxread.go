package proxy

import (
	"encoding/binary"
	"slices"

	"waggle/pkg/proxy/h2"
)

// parse takes as many frames as have come.
func (m *mux) parse() {
	for !m.stalled() && !m.doomed && m.greeted() {
		b := m.c.in.bytes()
		if !m.inFrame {
			if len(b) < h2.FrameHead {
				break
			}
			f := h2.ParseFrame(b)
			m.c.in.consume(h2.FrameHead)
			if !m.begin(f) {
				break
			}
			b = m.c.in.bytes()
		}
		n, ok := m.payload(b[:min(len(b), m.left)])
		m.c.in.consume(n)
		m.left -= n
		if !ok {
			break
		}
		m.inFrame = false
	}
	m.c.dropEmpty()
}

// greeted takes the preface that a client begins with. It reports whether that is behind us.
func (m *mux) greeted() bool {
	if m.preface == len(h2.Preface) {
		return true
	}
	b := m.c.in.bytes()
	n := min(len(b), len(h2.Preface)-m.preface)
	if string(b[:n]) != h2.Preface[m.preface:m.preface+n] {
		m.fail(h2.ProtocolError)
		return false
	}
	m.preface += n
	m.c.in.consume(n)
	return m.preface == len(h2.Preface)
}

// begin looks at the head of a frame. It reports false where the connection ends for it.
func (m *mux) begin(f h2.Frame) bool {
	m.frame, m.inFrame, m.left, m.padding = f, true, f.Length, 0
	switch {
	case f.Length > h2.FrameSize, f.Length > h2.LongestFixed && f.Type.Fixed():
		m.fail(h2.FrameSizeError)
	case !m.settled && (f.Type != h2.Settings || f.Flags.Has(h2.Ack)), // RFC 9113, section 3.4
		m.block.open && (f.Type != h2.Continuation || f.Stream != m.block.id), // 6.10
		!m.block.open && f.Type == h2.Continuation:
		m.fail(h2.ProtocolError)
	case f.Type == h2.Settings && f.Length > m.w.buffers.size/2:
		m.fail(h2.EnhanceYourCalm)
	default:
		m.settled = true
		if !f.Carries() {
			m.pay()
		}
		if f.Type == h2.Data {
			m.beginData()
		}
	}
	return !m.doomed
}

// payload takes what has come of the frame. ok says that this was the end of it.
func (m *mux) payload(b []byte) (n int, ok bool) {
	whole := len(b) == m.left
	switch m.frame.Type {
	case h2.Data:
		m.data(b)
	case h2.Headers, h2.Continuation:
		if !whole && m.left == m.frame.Length && len(b) < beforeFields {
			return 0, false
		}
		m.head(b, whole)
	case h2.Settings, h2.Ping, h2.RSTStream, h2.WindowUpdate, h2.Priority: // looked at as a whole
		if !whole {
			return 0, false
		}
		m.small(b)
	case h2.PushPromise:
		m.fail(h2.ProtocolError)
	case h2.GoAway:
		m.goneAway()
	}
	return len(b), whole
}

// goneAway notes that the client will use the connection no longer than for the streams that it has. What it says besides is not
// looked at.
func (m *mux) goneAway() {
	switch f := m.frame; {
	case f.Stream != 0:
		m.fail(h2.ProtocolError)
	case f.Length < h2.GoAwaySize:
		m.fail(h2.FrameSizeError)
	default:
		m.leaving = true
	}
}

// beforeFields is the most that a HEADERS frame has in front of its fields: the length of the padding, and a priority.
const beforeFields = 1 + h2.PrioritySize

// small takes a frame that is looked at as a whole.
func (m *mux) small(b []byte) {
	f := m.frame
	switch f.Type {
	case h2.Settings:
		m.settings(b)
	case h2.Ping:
		switch {
		case f.Stream != 0:
			m.fail(h2.ProtocolError)
		case len(b) != 8:
			m.fail(h2.FrameSizeError)
		case !f.Flags.Has(h2.Ack):
			m.wrote(h2.AppendPingAck(m.control(), b))
		case string(b) == farewell:
			m.parted()
		}
	case h2.RSTStream:
		switch {
		case f.Stream == 0 || m.idle(f.Stream):
			m.fail(h2.ProtocolError)
		case len(b) != 4:
			m.fail(h2.FrameSizeError)
		default:
			m.resetByClient(f.Stream)
		}
	case h2.WindowUpdate:
		if len(b) != 4 {
			m.fail(h2.FrameSizeError)
			return
		}
		m.windowUpdate(f.Stream, int64(binary.BigEndian.Uint32(b)&h2.MaxWindow))
	case h2.Priority: // RFC 9113, section 5.3.2: of no meaning any more
		switch {
		case f.Stream == 0:
			m.fail(h2.ProtocolError)
		case len(b) != h2.PrioritySize:
			m.fail(h2.FrameSizeError)
		case h2.DependsOn(b) == f.Stream: // RFC 7540, section 5.3.1, as HAProxy
			m.fail(h2.ProtocolError)
		}
	}
}

// idle says that a stream has never been opened.
func (m *mux) idle(id uint32) bool { return id > m.lastID || id%2 == 0 }

func (m *mux) settings(b []byte) {
	f := m.frame
	switch {
	case f.Stream != 0:
		m.fail(h2.ProtocolError)
		return
	case f.Flags.Has(h2.Ack) && len(b) > 0, len(b)%h2.SettingSize != 0:
		m.fail(h2.FrameSizeError)
		return
	case f.Flags.Has(h2.Ack):
		return
	}
	for ; len(b) > 0; b = b[h2.SettingSize:] {
		m.setting(h2.ParseSetting(b))
	}
	m.wrote(h2.AppendSettingsAck(m.control()))
}

func (m *mux) setting(s h2.Setting) {
	switch s.ID {
	case h2.EnablePush:
		if s.Value > 1 {
			m.fail(h2.ProtocolError)
		}
	case h2.MaxFrameSize: // we send none above the least that it can be
		if s.Value < h2.FrameSize || s.Value > h2.MaxFrame {
			m.fail(h2.ProtocolError)
		}
	case h2.InitialWindowSize:
		if s.Value > h2.MaxWindow {
			m.fail(h2.FlowControlError)
			return
		}
		if len(m.lanes) > 0 { // it takes a walk through all: a frame may have a thousand of these
			m.pay()
		}
		by := int64(s.Value) - m.initial
		m.initial += by
		for _, l := range m.lanes {
			if l.send += by; l.send > h2.MaxWindow {
				m.fail(h2.FlowControlError)
				return
			}
			m.unblock1(l)
		}
	}
}

func (m *mux) windowUpdate(id uint32, by int64) {
	if id == 0 {
		closed := m.send <= 0
		switch m.send += by; {
		case by == 0:
			m.fail(h2.ProtocolError)
		case m.send > h2.MaxWindow:
			m.fail(h2.FlowControlError)
		case closed:
			m.unblock()
		}
		return
	}
	l := m.lanes[id]
	switch {
	case m.idle(id):
		m.fail(h2.ProtocolError)
	case l == nil: // it has ended meanwhile
	case by == 0:
		m.endLane(l, h2.ProtocolError)
	default:
		if l.send += by; l.send > h2.MaxWindow {
			m.endLane(l, h2.FlowControlError)
			return
		}
		m.unblock1(l)
	}
}

// resetByClient ends a stream that the client has given up.
func (m *mux) resetByClient(id uint32) {
	l := m.lanes[id]
	if l == nil || l.reset {
		return
	}
	l.cancelled = true
	m.giveUp(l) // CVE-2023-44487
}

// endLane ends a stream by an error of the client's. Who has us end many does what one does that ends them itself
// (CVE-2025-8671).
func (m *mux) endLane(l *lane, why h2.Code) {
	if !l.reset {
		m.resetStream(l.id, why)
		m.giveUp(l)
	}
}

// giveUp has the session of a stream find its client gone, who may do so only so often.
func (m *mux) giveUp(l *lane) {
	if !m.calm.reset(m.w.loop.Now()) {
		m.fail(h2.EnhanceYourCalm)
	}
	l.lose()
	m.touchLane(l)
}

// resetStream sends RST_STREAM.
func (m *mux) resetStream(id uint32, why h2.Code) {
	m.refusing.add(id)
	m.wrote(h2.AppendReset(m.control(), id, why))
}

// reset are the last streams that we have reset: a client that does not know it yet may go on sending.
type reset struct {
	ids []uint32
	n   int
}

// remembered is how many of these there are at most.
const remembered = 256

func (r *reset) add(id uint32) {
	if len(r.ids) < remembered {
		r.ids = append(r.ids, id)
	} else {
		r.ids[r.n%remembered] = id
	}
	r.n++
}

func (r *reset) has(id uint32) bool { return slices.Contains(r.ids, id) }

// beginData looks at what a DATA frame takes of the windows.
func (m *mux) beginData() {
	f := m.frame
	if m.idle(f.Stream) {
		m.fail(h2.ProtocolError)
		return
	}
	if m.recv -= int64(f.Length); m.recv < 0 {
		m.fail(h2.FlowControlError)
		return
	}
	l := m.lanes[f.Stream]
	switch {
	case l == nil && !m.refusing.has(f.Stream), l != nil && (l.cancelled || l.ended && !l.reset):
		m.fail(h2.StreamClosed) // RFC 9113, section 5.1
	case l == nil || l.reset:
	case int64(f.Length) > l.recv:
		m.endLane(l, h2.FlowControlError)
	default:
		l.recv -= int64(f.Length)
	}
}

// data takes a piece of a body.
func (m *mux) data(b []byte) {
	f, l := m.frame, m.lanes[m.frame.Stream]
	if l != nil && l.reset {
		l = nil
	}
	last := len(b) == m.left
	begun := f.Length - m.left
	if f.Flags.Has(h2.Padded) && begun == 0 {
		if len(b) == 0 {
			if f.Length == 0 { // RFC 9113, section 4.2
				m.fail(h2.FrameSizeError)
			}
			return
		}
		m.padding = int(b[0])
		if m.padding >= f.Length {
			m.fail(h2.ProtocolError)
			return
		}
		m.passed(l, 1+m.padding)
		b, begun = b[1:], 1
	}
	end := f.Length - m.padding // where the padding begins
	if f.Flags.Has(h2.Padded) {
		b = b[:max(0, min(len(b), end-max(begun, 1)))]
	}
	switch {
	case l == nil:
		m.credit(len(b))
		return
	case l.length >= 0 && l.got+int64(len(b)) > l.length:
		m.credit(len(b))
		m.endLane(l, h2.ProtocolError)
		return
	}
	if len(b) > 0 {
		l.stage(b)
	}
	if last && f.Flags.Has(h2.EndStream) {
		m.endBody(l)
	}
}

// endBody notes that the request is whole.
func (m *mux) endBody(l *lane) {
	if l.length >= 0 && l.got != l.length { // RFC 9113, section 8.1.1
		m.endLane(l, h2.ProtocolError)
		return
	}
	l.ended = true
	l.hear()
}

// passed has the client be told that it may send n bytes more, of a stream and of all, when they have become many.
func (m *mux) passed(l *lane, n int) {
	m.credit(n)
	if l == nil || l.ended {
		return
	}
	if l.unacked += n; l.unacked >= streamWindow/4 && !m.dead {
		l.recv += int64(l.unacked)
		m.wrote(h2.AppendWindowUpdate(m.control(), l.id, l.unacked))
		l.unacked = 0
	}
}

// credit does that for the connection alone.
func (m *mux) credit(n int) {
	if m.unacked += n; m.unacked >= connWindow/4 && !m.dead {
		m.recv += int64(m.unacked)
		m.wrote(h2.AppendWindowUpdate(m.control(), 0, m.unacked))
		m.unacked = 0
	}
}

// pay takes a frame that carries nothing off the client's credit; when that is used up nothing is read for a while.
func (m *mux) pay() {
	if wait := m.calm.idle(m.w.loop.Now()); wait > 0 {
		m.resting = true
		m.w.loop.Arm(&m.restTimer, wait)
	}
}
