package proxy

import (
	"golang.org/x/sys/unix"

	"waggle/pkg/proxy/adapter"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/proxy/sock"
)

// conn is one socket on a loop with what was read from it and what is to be written to it.
type conn struct {
	w     *worker
	owner owner
	fd    int // -1 when closed
	rank  loop.Rank
	group uint32 // connections to the same server have the same
	in    buffer
	out   buffer

	canRead    bool          // a read may find something
	canWrite   bool          // a write may take something
	hup        bool          // the kernel has announced the end of the stream
	gone       bool          // and of the other direction: the peer reads nothing any more, whatever it sent before
	eof        bool          // the end of the stream has been read, or the connection is broken
	broken     bool          // reading ended with an error: nothing can be read or written any more
	lost       bool          // writing failed; something may still be read
	shut       bool          // we have sent FIN
	queued     bool          // for a flush at the end of the batch
	starved    bool          // the owner cannot go on before what waits has been written
	active     bool          // bytes have moved since the owner looked
	peer       *adapter.Pair // the adapter behind the socket; nil for a socket of TCP
	lane       *lane         // the stream of HTTP/2 that stands in for a socket; nil for one. fd is noSocket then
	got, given int64
}

// owner is told when something about one of its sockets has changed.
type owner interface{ advance() }

// open makes the conn stand for a registered socket.
func (c *conn) open(w *worker, fd int, rank loop.Rank, o owner) error {
	*c = conn{w: w, fd: fd, rank: rank, owner: o, queued: c.queued}
	return w.loop.Add(fd, c)
}

// Ready implements loop.Handler.
func (c *conn) Ready(e loop.Events) {
	if e.Readable() {
		c.canRead = true
		c.gone = c.gone || e.Broken()
		c.hup = c.hup || uint32(e)&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0
	}
	if e.Writable() && !c.lost {
		c.canWrite = true
	}
	if c.eof && uint32(e)&unix.EPOLLERR != 0 { // reset after its FIN: no read will tell
		c.fail()
	}
	c.owner.advance()
}

// fill reads once. It reports whether anything new is known: bytes, or the end.
func (c *conn) fill() bool {
	if !c.canRead || c.eof {
		return false
	}
	if c.lane != nil {
		return c.lane.fill()
	}
	c.w.buffers.borrow(&c.in)
	if c.in.room() == 0 {
		c.in.compact()
		if c.in.room() == 0 {
			return false
		}
	}
	free := c.in.free()
	n, errno := sock.Read(c.fd, free)
	switch {
	case errno == unix.EAGAIN:
		c.canRead = false
		c.dropEmpty()
		return false
	case errno != 0:
		c.fail()
		c.dropEmpty()
		return true
	case n == 0 && c.peer != nil && c.peer.WasReset():
		c.fail()
		c.dropEmpty()
		return true
	case n == 0:
		c.eof, c.canRead = true, false
		c.dropEmpty()
		return true
	}
	c.in.w += n
	c.got += int64(n)
	c.active = true
	// A short read has emptied the socket; what comes later comes with an event of its own (epoll(7)).
	c.canRead = n == len(free) || c.hup
	return true
}

func (c *conn) dropEmpty() {
	if c.in.len() == 0 {
		c.w.buffers.giveBack(&c.in)
	}
}

// fail marks the connection as gone.
func (c *conn) fail() {
	c.eof, c.broken, c.canRead = true, true, false
	c.lose()
}

// lose marks the connection as one that takes nothing any more. What the peer sent before may still be
// read, a response to a request that it refused half way for instance.
func (c *conn) lose() {
	c.lost, c.canWrite = true, false
	c.canRead = !c.eof
	c.w.buffers.giveBack(&c.out)
}

// consume drops n bytes that were read.
func (c *conn) consume(n int) {
	c.in.consume(n)
	c.dropEmpty()
}

// push writes what is waiting, as much as the socket takes. It reports whether nothing is left.
func (c *conn) push() bool {
	if c.lane != nil {
		return c.lane.push()
	}
	for c.out.len() > 0 {
		if !c.canWrite {
			return false
		}
		if n, errno := sock.Write(c.fd, c.out.bytes()); !c.wrote(n, errno) {
			break
		}
	}
	if c.out.len() > 0 {
		return false
	}
	if c.out.data != nil {
		c.w.buffers.giveBack(&c.out)
	}
	return true
}

// wrote notes what came of a write. It reports whether the socket may take more.
func (c *conn) wrote(n int, errno unix.Errno) bool {
	switch {
	case errno == unix.EAGAIN:
		c.canWrite = false
		return false
	case errno != 0:
		c.lose()
		return false
	}
	c.out.consume(n)
	c.given += int64(n)
	c.active = true
	return true
}

// reserve makes room for n bytes in the output, by writing what is there if it must. It reports false
// when the peer has to read first.
func (c *conn) reserve(n int) bool {
	c.w.buffers.borrow(&c.out)
	if c.out.room() >= n {
		return true
	}
	if !c.push() {
		c.out.compact()
		c.starved = c.out.room() < n
		return !c.starved
	}
	c.w.buffers.borrow(&c.out)
	return c.out.room() >= n
}

// send queues what was put into the output for the flush at the end of the batch.
func (c *conn) send() {
	c.active = true // the flush comes when timers have been armed
	if c.lane != nil {
		c.lane.m.want(c.lane)
		return
	}
	if !c.queued {
		c.queued = true
		c.w.loop.Defer(c.rank, c.group, c)
	}
}

// Waiting implements loop.Flusher.
func (c *conn) Waiting() (fd int, b []byte) {
	c.queued = false
	if c.fd < 0 || !c.canWrite {
		return -1, nil
	}
	return c.fd, c.out.bytes()
}

// Written implements loop.Flusher.
func (c *conn) Written(n int, errno unix.Errno) { c.wrote(n, errno) }

// Flushed implements loop.Flusher. The owner, who reckons that all is written, is only told if it waits for that or if it
// was wrong.
func (c *conn) Flushed() {
	if c.fd < 0 || c.queued { // closed meanwhile, or waiting for its turn with something new
		return
	}
	done := c.push()
	if done && !c.starved && !c.lost {
		return
	}
	c.starved = !done
	c.owner.advance()
}

// jammed says that bytes wait which the socket did not take.
func (c *conn) jammed() bool { return c.out.len() > 0 && !c.queued }

// close closes the socket and gives all storage back.
func (c *conn) close() { c.end(sock.Close, false) }

// reset closes with RST, so that the peer cannot take what it has for the whole.
func (c *conn) reset() { c.end(sock.Reset, true) }

func (c *conn) end(how func(fd int), abort bool) {
	if c.fd < 0 {
		return
	}
	if c.lane != nil {
		c.lane.end(abort)
		c.queued = false
	} else {
		c.w.loop.Forget(c.fd)
		if c.peer != nil {
			c.peer.Closed(abort)
		}
		how(c.fd)
	}
	c.fd = -1
	c.canRead, c.canWrite = false, false
	c.w.buffers.giveBack(&c.in)
	c.w.buffers.giveBack(&c.out)
}

// taking is all that the peer has been given, or will be at the end of this batch.
func (c *conn) taking() int64 { return c.given + int64(c.out.len()) }

// finish sends FIN after all that was written.
func (c *conn) finish() {
	if !c.shut && !c.lost && c.fd >= 0 && c.lane == nil {
		c.shut = true
		sock.ShutdownWrite(c.fd)
	}
}
