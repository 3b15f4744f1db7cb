package proxy

import (
	"encoding/binary"
	"hash/adler32"
	"hash/crc32"
	"strconv"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/h1"
)

// coding is how far a response has come on its way into another coding. It is small: what comes at once is compressed by
// itself, in blocks of deflate that end at a byte, so that all responses of a loop share one compressor, whatever their
// number, and what a server sends for a reader to see at once is seen at once. HAProxy does it the same way where it is
// built with libslz.
type coding struct {
	algo       config.Coding
	begun      bool
	ended      bool // trailers may follow
	sum        uint32
	size       uint32
	level      int
	compressor *compressor
	meter      *meter
	counters   [2]*pool.Shard // of the frontend and of the backend; nil: there is none
}

// count counts something for all who have a share in the response.
func (c *coding) count(add func(*pool.Shard)) {
	for _, sh := range c.counters {
		if sh != nil {
			add(sh)
		}
	}
}

// maxPiece is how much is compressed at once: as much as a stored block of deflate can hold.
const maxPiece = 1<<16 - 1

// codingOverhead is by how much a piece may be larger when it is coded and in a chunk of its own, with all that stands before
// the first and behind the last: the size of the chunk in hex and its line ends, gzip's ten and eight bytes, two stored blocks'
// five, an empty last block's two, and the last chunk.
const codingOverhead = 64

// encode is copyOut for a payload that is compressed.
func (s *stream) encode(src, dst *conn, at *int) step {
	if dst.fd < 0 || dst.lost {
		return s.discard(src, at)
	}
	if !dst.reserve(src.w.buffers.size / 2) {
		return stuck
	}
	b := src.in.bytes()[*at:]
	b = b[:min(len(b), dst.out.room()-codingOverhead, maxPiece)]
	data, trailer, n := s.payload(src.w, b)
	if s.bad != h1.OK {
		s.open = false
		return moved
	}
	*at += n
	out := s.coding.appendChunk(dst.out.data[:dst.out.w], src.w, data, !s.open || len(trailer) > 0)
	out = append(out, trailer...)
	if !s.open && s.framing != h1.BodyChunked { // else the empty line is the end of the trailer section
		out = append(out, "\r\n"...)
	}
	dst.out.w = len(out)
	dst.send()
	return moved
}

// payload takes what is payload of the first n bytes of b, and what is trailer section.
func (s *stream) payload(w *worker, b []byte) (data, trailer []byte, n int) {
	if s.framing == h1.BodyLength {
		n = int(min(int64(len(b)), s.left))
		s.left -= int64(n)
		s.open = s.left > 0
		return b[:n], nil, n
	}
	before := s.chunked.Trailer()
	var done bool
	w.payload, n, done, s.bad = s.chunked.AppendPayload(w.payload[:0], b)
	if s.bad == h1.OK {
		trailer = b[n-(s.chunked.Trailer()-before) : n]
	}
	s.open = !done
	return w.payload, trailer, n
}

// appendChunk appends data in a chunk, and with last what ends the payload.
func (c *coding) appendChunk(dst []byte, w *worker, data []byte, last bool) []byte {
	coded := data
	if c.algo != config.Identity {
		w.compressor.coded = c.append(w.compressor.coded[:0], data, last, w.date())
		coded = w.compressor.coded
	} else {
		c.count(func(sh *pool.Shard) { sh.CompBypassed.Add(uint64(len(data))) })
	}
	if len(coded) > 0 {
		dst = strconv.AppendUint(dst, uint64(len(coded)), 16)
		dst = append(dst, "\r\n"...)
		dst = append(dst, coded...)
		dst = append(dst, "\r\n"...)
	}
	if last && !c.ended {
		dst = append(dst, "0\r\n"...)
	}
	c.ended = c.ended || last
	return dst
}

// append appends data in the coding, at most maxPiece bytes of it, and with last what ends it.
func (c *coding) append(dst, data []byte, last bool, now time.Time) []byte {
	if c.ended {
		return dst
	}
	before := len(dst)
	if !c.begun {
		c.begun = true
		switch c.algo {
		case config.Gzip: // RFC 1952 section 2.3: deflate, no time, Unix
			dst = append(dst, 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3)
		case config.Deflate: // RFC 1950 section 2.2: a window of 32 kB, the fastest way
			dst = append(dst, 0x78, 1)
			c.sum = 1
		}
	}
	if len(data) > 0 {
		dst = c.compressor.append(dst, data, c.level)
		c.note(data)
	}
	if last {
		dst = append(dst, 3, 0) // an empty last block
		switch c.algo {
		case config.Gzip:
			dst = binary.LittleEndian.AppendUint32(dst, c.sum)
			dst = binary.LittleEndian.AppendUint32(dst, c.size)
		case config.Deflate:
			dst = binary.BigEndian.AppendUint32(dst, c.sum)
		}
	}
	c.meter.add(now, uint64(len(data)))
	c.count(func(sh *pool.Shard) {
		sh.CompIn.Add(uint64(len(data)))
		sh.CompOut.Add(uint64(len(dst) - before))
	})
	return dst
}

// note keeps the check sum up.
func (c *coding) note(data []byte) {
	switch c.algo {
	case config.Gzip:
		c.sum = crc32.Update(c.sum, crc32.IEEETable, data)
		c.size += uint32(len(data))
	case config.Deflate:
		c.sum = adlerUpdate(c.sum, data)
	}
}

// adlerUpdate is adler32.Checksum of what sum is of and data behind it (RFC 1950 section 8.2).
func adlerUpdate(sum uint32, data []byte) uint32 {
	const mod = 65521
	part := adler32.Checksum(data)
	a, b := sum&0xffff, sum>>16
	times := uint32(uint64(len(data)) * uint64(a+mod-1) % mod) // a is in b once for each byte, less the 1 that part began with
	return (b+times+part>>16)%mod<<16 | (a+part&0xffff+mod-1)%mod
}

// compressor is a loop's. The zero value is ready for use; its memory, about a megabyte, comes with its first use.
type compressor struct {
	deflate *flate.Writer
	level   int
	out     []byte // what deflate writes is appended to it
	coded   []byte // scratch memory of the piece under way

	sampled, idled time.Duration // when the loop's idle time was last looked at, and what it was
	share          int           // percentage of idle time before that
}

// Write implements io.Writer, for deflate.
func (c *compressor) Write(b []byte) (int, error) {
	c.out = append(c.out, b...)
	return len(b), nil
}

// append appends data in blocks of deflate of which none is the last, up to a byte's edge.
func (c *compressor) append(dst, data []byte, level int) []byte {
	if c.deflate == nil || c.level != level {
		c.deflate, _ = flate.NewWriter(nil, level) // levels are checked when they are read
		c.level = level
	}
	from := len(dst)
	c.out = dst
	c.deflate.Reset(c)
	_, err := c.deflate.Write(data)
	if err == nil {
		err = c.deflate.Flush()
	}
	dst, c.out = c.out, nil
	if err != nil || len(dst)-from > len(data)+10 { // RFC 1951 section 3.2.4: a stored block, and an empty one, at which readers stop
		dst = append(dst[:from], 0, byte(len(data)), byte(len(data)>>8), ^byte(len(data)), ^byte(len(data)>>8))
		dst = append(append(dst, data...), 0, 0, 0, 0xff, 0xff)
	}
	return dst
}

// idleSample is for how long a share of idle time is reckoned with.
const idleSample = time.Second / 2

// idle is the percentage of time in which the loop had nothing to do lately.
func (c *compressor) idle(now time.Duration, total func() time.Duration) int {
	if c.sampled == 0 {
		c.share = 100
	}
	if d := now - c.sampled; d >= idleSample {
		all := total()
		if c.sampled > 0 {
			c.share = min(int(100*(all-c.idled)/d), 100)
		}
		c.sampled, c.idled = now, all
	}
	return c.share
}

// meter measures how much passes in a second, as a sliding mean. The zero value is ready for use, from any goroutine.
type meter struct {
	mu        sync.Mutex
	second    int64
	cur, last uint64
}

func (m *meter) turn(now time.Time) {
	switch s := now.Unix(); {
	case s == m.second+1:
		m.last, m.cur, m.second = m.cur, 0, s
	case s > m.second, s < m.second-1: // also when the clock was set back; a loop may be late by a moment
		m.last, m.cur, m.second = 0, 0, s
	}
}

func (m *meter) add(now time.Time, n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(now)
	m.cur += n
}

// read gives the rate: the present second's, and of the one before as much as has not been replaced yet.
func (m *meter) read(now time.Time) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(now)
	return m.cur + m.last*uint64(time.Second-time.Duration(now.Nanosecond()))/uint64(time.Second)
}
