package proxy

import (
	"waggle/pkg/proxy/h2"
)

// headBlock is a block of fields that has not come whole.
type headBlock struct {
	open  bool // its last frame has not come
	id    uint32
	ends  bool   // the stream ends with it
	buf   []byte // what has come of one that does not come in one piece
	ahead int    // bytes in front of it that are to be skipped: the length of the padding, and a priority
}

// head takes a piece of a block. A block that is there as a whole is read where it lies.
func (m *mux) head(b []byte, whole bool) {
	f := &m.frame
	if f.Type == h2.Headers && m.left == f.Length && !m.beginHead(b) {
		return
	}
	k := &m.block
	after := m.left - len(b) // bytes of the frame that are to come
	if f.Type == h2.Headers {
		skip := min(k.ahead, len(b))
		k.ahead -= skip
		b = b[skip:]
	}
	if cut := m.padding - after; cut > 0 {
		b = b[:max(0, len(b)-cut)]
	}
	last := whole && f.Flags.Has(h2.EndHeaders)
	if last && len(k.buf) == 0 {
		k.open = false
		m.fields(b)
		return
	}
	if len(k.buf)+len(b) > 2*m.maxList() {
		m.fail(h2.EnhanceYourCalm) // CVE-2023-45288
		return
	}
	k.buf = append(k.buf, b...)
	if last {
		k.open = false
		m.fields(k.buf)
		k.buf = nil
	}
}

// beginHead looks at what precedes the fields of a HEADERS frame, which has come. It reports false where that cannot be.
func (m *mux) beginHead(b []byte) bool {
	f, k := &m.frame, &m.block
	if f.Stream == 0 || f.Stream%2 == 0 {
		m.fail(h2.ProtocolError)
		return false
	}
	*k = headBlock{open: true, id: f.Stream, ends: f.Flags.Has(h2.EndStream)}
	fixed := 0
	if f.Flags.Has(h2.Padded) {
		fixed = 1
	}
	if f.Flags.Has(h2.HasPriority) {
		fixed += h2.PrioritySize
	}
	if f.Length < fixed { // RFC 9113, section 4.2
		m.fail(h2.FrameSizeError)
		return false
	}
	if f.Flags.Has(h2.Padded) {
		m.padding = int(b[0])
	}
	if fixed+m.padding > f.Length || f.Flags.Has(h2.HasPriority) && h2.DependsOn(b[fixed-h2.PrioritySize:]) == f.Stream {
		m.fail(h2.ProtocolError)
		return false
	}
	k.ahead = fixed
	return true
}

// fields takes a whole block: a request's head, or what follows its body.
func (m *mux) fields(block []byte) {
	id := m.block.id
	l := m.lanes[id]
	switch {
	case l != nil && l.cancelled:
		m.fail(h2.StreamClosed)
	case l != nil && !l.reset:
		m.trailers(l, block)
	case l == nil && id > m.lastID:
		m.lastID = id
		m.newRequest(id, block)
	case l != nil || m.refusing.has(id): // the client did not know yet
		if m.decoder.Decode(block, ignored{}) != nil {
			m.fail(h2.CompressionError)
		}
	default:
		m.fail(h2.StreamClosed)
	}
}

// ignored takes fields that nobody wants; they are read for what is to be remembered.
type ignored struct{}

// Field implements h2.Fields.
func (ignored) Field(_, _ []byte) {}

// newRequest opens a stream.
func (m *mux) newRequest(id uint32, block []byte) {
	var in buffer
	m.w.buffers.borrow(&in)
	m.request.Begin(in.data[:0], len(in.data), m.maxList())
	if err := m.decoder.Decode(block, &m.request); err != nil {
		m.w.buffers.giveBack(&in)
		m.fail(h2.CompressionError)
		return
	}
	head, verdict := m.request.Finish(m.block.ends)
	if verdict == h2.Fine && len(m.lanes) < m.maxStreams() && !m.after(id) {
		in.w = len(head)
		m.openLane(id, in, m.block.ends)
		return
	}
	m.pay() // it has us answer at no cost to itself
	m.w.buffers.giveBack(&in)
	switch verdict {
	case h2.Fine:
		m.resetStream(id, h2.RefusedStream)
	case h2.Malformed:
		m.resetStream(id, h2.ProtocolError)
	case h2.Bomb:
		m.fail(h2.EnhanceYourCalm)
	case h2.TooLarge:
		m.refuse(id, 431)
	default:
		m.refuse(id, 400)
	}
}

// refuse answers a request that never becomes one of the loop.
func (m *mux) refuse(id uint32, status int) {
	block := m.w.block[:0]
	if !m.sizeTold {
		m.sizeTold = true
		block = h2.AppendTableSize(block)
	}
	block = h2.AppendField(h2.AppendStatus(block, status), []byte("content-length"), []byte("0"))
	m.w.block = block
	f := h2.Frame{Length: len(block), Type: h2.Headers, Flags: h2.EndHeaders | h2.EndStream, Stream: id}
	m.wrote(append(f.Append(m.control()), block...))
	if !m.block.ends {
		m.resetStream(id, h2.NoError)
	}
}

// trailers takes the fields behind a body, which end the stream.
func (m *mux) trailers(l *lane, block []byte) {
	t := h2.Trailer{Text: l.trailer[:0], Most: min(maxTrailer, m.w.buffers.size/2)}
	if err := m.decoder.Decode(block, &t); err != nil {
		m.fail(h2.CompressionError)
		return
	}
	switch {
	case l.ended:
		m.fail(h2.StreamClosed)
	case t.Broken || !m.block.ends:
		m.endLane(l, h2.ProtocolError)
	default:
		l.trailer = t.Text
		m.endBody(l)
	}
}

// maxTrailer is what the codec of HTTP/1 takes of a trailer section, less its end.
const maxTrailer = 8<<10 - 2
