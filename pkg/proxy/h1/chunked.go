package h1

// Chunked follows one chunked body (RFC 9112 section 7.1) through the buffers that it arrives in. The bytes may
// be cut anywhere. The zero value is at the start of a body.
//
// A body passes with its framing, extensions and trailers unchanged, so all of it is checked: what one reader could
// take for the end and another for data is refused.
type Chunked struct {
	state   chunkState
	digits  uint8  // hex digits of the current size
	left    uint64 // the size being read, then the payload bytes of the chunk that have not been seen
	payload int64
	ext     int // bytes of the current chunk's extensions
	extAll  int64
	trailer int // bytes of the trailer section
	name    [20]byte
	nameLen uint8 // length of the trailer's name, at most len(name)+1
}

type chunkState uint8

const (
	chunkSize chunkState = iota
	chunkExt
	chunkSizeLF
	chunkData
	chunkDataCR
	chunkDataLF
	trailerStart
	trailerName
	trailerValue
	trailerLF
	chunkEndLF
	chunkDone
)

// Bounds that no configuration changes.
const (
	maxChunkDigits = 16
	maxChunkSize   = 1 << 60
	maxChunkExt    = 1024     // bytes of extensions of one chunk
	maxExtTotal    = 16 << 10 // bytes of extensions of one body beyond as many as its payload has
	maxTrailer     = 8 << 10  // bytes of a trailer section
)

// Reset makes c ready for the next body.
func (c *Chunked) Reset() { *c = Chunked{} }

// Done says whether the body has ended.
func (c *Chunked) Done() bool { return c.state == chunkDone }

// Scan says how many of b's first bytes belong to the body, framing and trailers included: all of them until
// the body is done. With done the rest of b belongs to the next message. A reason means that the body is broken
// at b[n]: b[n:] must not be passed on, and neither connection can be used again.
func (c *Chunked) Scan(b []byte) (n int, done bool, why Reason) {
	for n < len(b) && !done && why == OK {
		var used int
		_, _, used, done, why = c.Next(b[n:])
		n += used
	}
	return n, done || c.state == chunkDone, why
}

// Next finds the next piece of payload in b: b[from:to], possibly empty; n bytes of b are used up. Call it
// again with b[n:] until n is len(b) or done. Scan and Next may be mixed.
func (c *Chunked) Next(b []byte) (from, to, n int, done bool, why Reason) {
	for n < len(b) && c.state != chunkDone {
		if c.state == chunkData {
			from = n
			n += int(min(c.left, uint64(len(b)-n)))
			c.Skip(int64(n - from))
			return from, n, n, false, OK
		}
		if why = c.frame(b[n]); why != OK {
			return n, n, n, false, why
		}
		n++
	}
	return n, n, n, c.state == chunkDone, OK
}

// AppendPayload appends the payload in b to dst: what a peer that does not know chunks is sent.
func (c *Chunked) AppendPayload(dst, b []byte) (out []byte, n int, done bool, why Reason) {
	for n < len(b) && !done && why == OK {
		var from, to, used int
		from, to, used, done, why = c.Next(b[n:])
		dst = append(dst, b[n+from:n+to]...)
		n += used
	}
	return dst, n, done || c.state == chunkDone, why
}

// Trailer is the number of bytes of the trailer section that have been seen, the empty line that ends it included. They are the
// last of those that Next and Scan say are used.
func (c *Chunked) Trailer() int { return c.trailer }

// Payload is the number of payload bytes seen so far.
func (c *Chunked) Payload() int64 { return c.payload }

// Remaining is how many payload bytes of the current chunk are still to come: that many may be spliced
// past Scan and reported by Skip. It is 0 within framing.
func (c *Chunked) Remaining() int64 {
	if c.state != chunkData {
		return 0
	}
	return int64(c.left)
}

// Skip says that n payload bytes, at most Remaining, went by without Scan.
func (c *Chunked) Skip(n int64) {
	c.left -= uint64(n)
	c.payload += n
	if c.left == 0 {
		c.state = chunkDataCR
	}
}

// frame takes one byte of framing.
func (c *Chunked) frame(b byte) Reason {
	switch c.state {
	case chunkSize:
		return c.size(b)
	case chunkExt:
		return c.extension(b)
	case chunkSizeLF:
		if b != '\n' {
			return BareCR
		}
		c.digits, c.ext = 0, 0
		c.state = chunkData
		if c.left == 0 {
			c.state = trailerStart
		}
	case chunkDataCR:
		if b != '\r' {
			return BadChunkEnd
		}
		c.state = chunkDataLF
	case chunkDataLF:
		if b != '\n' {
			return BadChunkEnd
		}
		c.state = chunkSize
	default:
		return c.trail(b)
	}
	return OK
}

func (c *Chunked) size(b byte) Reason {
	switch {
	case is(b, isHex):
		c.left = c.left<<4 | uint64(unhex(b))
		if c.digits++; c.digits > maxChunkDigits || c.left > maxChunkSize {
			return BadChunkSize
		}
	case c.digits == 0:
		return BadChunkSize
	case b == '\r':
		c.state = chunkSizeLF
	case b == ';':
		c.state = chunkExt
		return c.extension(b)
	default:
		return BadChunkSize
	}
	return OK
}

// extension skips chunk extensions, which mean nothing to anyone and are a known means of wasting a reader's time.
func (c *Chunked) extension(b byte) Reason {
	switch {
	case b == '\r':
		c.state = chunkSizeLF
		return OK
	case b == '\n':
		return BareLF
	case isControl(b):
		return BadChunkExt
	}
	c.ext++
	c.extAll++
	if c.ext > maxChunkExt || c.extAll > maxExtTotal+c.payload {
		return BadChunkExt
	}
	return OK
}

// trail takes one byte of the trailer section or of the empty line that ends the body.
func (c *Chunked) trail(b byte) Reason {
	if c.trailer++; c.trailer > maxTrailer {
		return TrailerTooLarge
	}
	switch c.state {
	case trailerStart:
		switch {
		case b == '\r':
			c.state = chunkEndLF
			return OK
		case isBlank(b):
			return ObsFold
		}
		c.nameLen, c.state = 0, trailerName
		return c.trailName(b)
	case trailerName:
		return c.trailName(b)
	case trailerValue:
		switch {
		case b == '\r':
			c.state = trailerLF
		case b == '\n':
			return BareLF
		case isControl(b):
			return ControlByte
		}
	case trailerLF:
		if b != '\n' {
			return BareCR
		}
		c.state = trailerStart
	case chunkEndLF:
		if b != '\n' {
			return BareCR
		}
		c.state = chunkDone
	}
	return OK
}

func (c *Chunked) trailName(b byte) Reason {
	switch {
	case is(b, isToken):
		if int(c.nameLen) < len(c.name) {
			c.name[c.nameLen] = lower(b)
		}
		c.nameLen = min(c.nameLen+1, uint8(len(c.name)+1))
		return OK
	case b == '\n':
		return BareLF
	case b == '\r':
		return NoColon
	case isBlank(b):
		return SpaceBeforeColon
	case b != ':' || c.nameLen == 0:
		return BadFieldName
	}
	if int(c.nameLen) <= len(c.name) && forbiddenTrailer(string(c.name[:c.nameLen])) {
		return ForbiddenTrailer
	}
	c.state = trailerValue
	return OK
}

// forbiddenTrailer says whether a field would change how the message is framed, routed or authorised, were a server to
// merge it into the head (RFC 9110 section 6.5.1). name is in lower case.
func forbiddenTrailer(name string) bool {
	switch name {
	case "content-length", "transfer-encoding", "te", "trailer", "connection", "keep-alive",
		"proxy-connection", "upgrade", "host", "expect", "authorization", "proxy-authorization",
		"cookie", "set-cookie":
		return true
	}
	return false
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0xf + 9
}
