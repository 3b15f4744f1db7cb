package h1

// Chunked follows one chunked body (RFC 9112 section 7.1) through the buffers that it arrives in. The bytes may
// be cut anywhere. The zero value is at the start of a body.
type Chunked struct {
	left    uint64 // payload bytes of the current chunk that have not been seen
	payload int64
}

// Reset makes c ready for the next body.
func (c *Chunked) Reset() { *c = Chunked{} }

// Scan says how many of b's first bytes belong to the body, framing and trailers included: all of them until
// the body is done. With done the rest of b belongs to the next message. A reason means that nothing of b
// behind n may be passed on.
func (c *Chunked) Scan(b []byte) (n int, done bool, why Reason) { panic("h1: not written yet") }

// Next finds the next piece of payload in b: b[from:to], possibly empty; n bytes of b are used up. Call it
// again with b[n:] until n is len(b) or done. Scan and Next may be mixed.
func (c *Chunked) Next(b []byte) (from, to, n int, done bool, why Reason) {
	panic("h1: not written yet")
}

// AppendPayload appends the payload in b to dst: what a peer that does not know chunks is sent.
func (c *Chunked) AppendPayload(dst, b []byte) (out []byte, n int, done bool, why Reason) {
	panic("h1: not written yet")
}

// Payload is the number of payload bytes seen so far.
func (c *Chunked) Payload() int64 { return c.payload }

// Remaining is how many payload bytes of the current chunk are still to come: that many may be spliced
// past Scan and reported by Skip. It is 0 within framing.
func (c *Chunked) Remaining() int64 { return int64(c.left) }

// Skip says that n payload bytes, at most Remaining, went by without Scan.
func (c *Chunked) Skip(n int64) { panic("h1: not written yet") }

// AppendChunkSize appends the line that opens a chunk of n > 0 bytes. The data and ChunkEnd follow.
func AppendChunkSize(dst []byte, n int) []byte { panic("h1: not written yet") }

// What closes a chunk's data, and what closes a body without trailers.
const (
	ChunkEnd  = "\r\n"
	LastChunk = "0\r\n\r\n"
)
