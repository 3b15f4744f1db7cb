package proxy

import (
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/proxy/adapter"
	"waggle/pkg/proxy/h2"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/proxy/sock"
)

// mux is a client's connection that speaks HTTP/2. Each of its streams is a session of the loop, whose client is a lane of the
// mux: what it reads and writes is HTTP/1, as from any other client, so that rules, limits and counters exist once. All of it
// lives on the loop: no goroutine, no lock and no system call of a stream's own.
type mux struct {
	w *worker
	g *guest
	c conn // the connection, or our end of an adapter's pair
	// side tells about the connection; it is the adapter's where there is one.
	side *adapter.Pair

	// What is read.
	preface  int // bytes of the client's that have come
	settled  bool
	frame    h2.Frame // that is being read, while inFrame
	inFrame  bool
	left     int // bytes of it that are to come
	padding  int // of these
	block    headBlock
	decoder  h2.Decoder
	request  h2.Request
	calm     calm
	resting  bool // nothing is read before the client has earned it
	held     bool // or before something has been written
	lastID   uint32
	recv     int64 // what the client may send
	unacked  int   // what has been taken of that, and not told
	refusing reset // streams that we have reset, whose client may not know it yet

	// What is written.
	send      int64 // what the client takes
	initial   int64 // and of a stream that begins
	sizeTold  bool  // that our blocks remember nothing
	ready     []*lane
	told      []*lane // to be told what came of writing
	touched   []*lane // to be told that something has come
	queued    bool    // for a flush
	jammed    bool    // the connection takes nothing
	jamGiven  int64   // bytes it had taken when that was last looked at
	leaving   bool    // the connection ends with its last stream
	parting   bool    // the client has been told so
	final     uint32  // and this is the last that it may have opened then; 0: it has yet to answer
	closing   bool    // GOAWAY is written, and what still comes is thrown away
	doomed    bool    // it is to be
	doom      h2.Code
	dead      bool
	severed   bool // it is to be, with nothing written any more
	lanes     map[uint32]*lane
	timer     loop.Timer
	waits     muxWait // what timer is armed for
	restTimer loop.Timer
}

// muxWait is what ends a connection when it takes too long.
type muxWait uint8

const (
	waitNothing muxWait = iota
	waitStream          // for the client to open one
	waitRead            // for it to read
	waitClose           // for it to close
)

const (
	// streamWindow and connWindow bound what a client may send that has not been passed on, for a stream and for all of
	// its connection.
	streamWindow = 256 << 10
	connWindow   = 1 << 20
	// controlRoom is kept free of bodies in what is written, for frames that answer and reset.
	controlRoom = 1 << 10
	// answersOfAFrame is the most that reading one frame has us write at once.
	answersOfAFrame = 8 * h2.ControlSize
)

// makeMux returns a connection that has yet to begin; p tells about it.
func (w *worker) makeMux(g *guest, p *adapter.Pair) *mux {
	m := &mux{w: w, g: g, side: p, lanes: make(map[uint32]*lane), send: h2.DefaultWindow, initial: h2.DefaultWindow, recv: connWindow}
	m.timer.Owner, m.restTimer.Owner = m, m
	return m
}

// newMux begins with a connection; p is the adapter's side of it.
func (w *worker) newMux(g *guest, fd int, p *adapter.Pair) {
	m := w.makeMux(g, p)
	if err := m.c.open(w, fd, loop.Clients, m); err != nil {
		w.e.log.Error("cannot serve a connection", "frontend", g.fe.cfg.Name, "error", err)
		p.Closed(true)
		sock.Close(fd)
		return
	}
	m.c.peer = p
	m.start()
}

// start says the first words.
func (m *mux) start() {
	w := m.w
	m.g.mux, m.c.canWrite = m, true
	m.calm.begin(w.loop.Now())
	w.muxes[m] = struct{}{}
	out := m.control()
	out = h2.AppendSettings(out,
		h2.Setting{ID: h2.MaxConcurrentStreams, Value: uint32(m.maxStreams())},
		h2.Setting{ID: h2.InitialWindowSize, Value: streamWindow},
		h2.Setting{ID: h2.MaxHeaderListSize, Value: uint32(m.maxList())},
	)
	m.wrote(h2.AppendWindowUpdate(out, 0, connWindow-h2.DefaultWindow))
	if w.stopping {
		m.leave()
	}
	m.arm()
}

func (m *mux) maxStreams() int {
	if n := m.g.fe.plan.maxStreams; n > 0 {
		return n
	}
	return defaultStreams
}

// maxList is the limit of a list of fields, unpacked, in the measure of RFC 9113, section 6.5.2.
func (m *mux) maxList() int {
	const fields = 10 // whose overhead it allows for
	return m.w.e.sizes.limits.MaxHead + 32*fields
}

// advance implements owner: the connection has something to read, or takes something again.
func (m *mux) advance() {
	if m.dead {
		return
	}
	if m.severed {
		m.die()
		return
	}
	m.held = false
	if m.jammed && m.c.canWrite {
		m.unjam()
	}
	for round := 0; m.receive(); round++ {
		if round == roundBudget {
			m.w.loop.Again(m)
			break
		}
	}
	m.settle()
}

// receive takes what has been read, and reads more. It reports whether there may be still more.
func (m *mux) receive() bool {
	if m.closing {
		m.c.in.consume(m.c.in.len())
	} else {
		m.parse()
		m.tellTouched()
	}
	switch {
	case !m.dead && !m.closing && m.c.gone && m.stalled(): // reset: what nothing is read for does not change any more
		m.die()
		return false
	case m.dead || !m.closing && (m.doomed || m.stalled()):
		m.held = !m.resting
		return false
	case m.c.lost || m.c.broken || m.c.eof:
		m.die()
		return false
	}
	return m.c.fill() || m.c.eof
}

// stalled says that nothing is read for now: the client sends too much that means nothing, or reads no answers.
func (m *mux) stalled() bool {
	return m.resting || m.c.out.data != nil && m.c.out.room() < answersOfAFrame
}

// Run implements loop.Runner.
func (m *mux) Run() { m.advance() }

// settle does what is due once everybody has been told.
func (m *mux) settle() {
	if m.dead {
		return
	}
	if m.leaving && len(m.lanes) == 0 {
		m.fail(h2.NoError)
	}
	if m.doomed && !m.closing && !(m.doom == h2.NoError && m.unread()) {
		m.close()
	}
	m.arm()
}

// unread says that something waits for the client to read it.
func (m *mux) unread() bool { return m.c.out.len() > 0 && !m.c.lost && !m.c.gone }

// arm sets the timer for what is waited for.
func (m *mux) arm() {
	if m.dead || m.closing {
		return
	}
	m.c.dropEmpty()
	switch t := &m.g.fe.timeouts; {
	case m.jammed:
		if m.waits != waitRead || m.c.given != m.jamGiven {
			m.wait(waitRead, t.client)
			m.jamGiven = m.c.given
		}
	case len(m.lanes) == 0:
		if m.waits != waitStream { // what is no request does not prolong it
			m.wait(waitStream, t.keepAlive)
		}
	default:
		m.wait(waitNothing, 0)
	}
}

func (m *mux) wait(what muxWait, d time.Duration) {
	m.waits = what
	m.w.loop.Arm(&m.timer, d)
}

// Expired implements loop.Expirer.
func (m *mux) Expired(t *loop.Timer) {
	switch {
	case t == &m.restTimer:
		m.resting = false
		m.advance()
	case m.waits == waitStream:
		m.fail(h2.NoError)
		m.settle()
	default:
		m.die()
	}
}

// control gives what is to be written, with room for answers behind it; wrote takes it back.
func (m *mux) control() []byte {
	m.w.buffers.borrow(&m.c.out)
	if m.c.out.room() < h2.ControlSize {
		m.c.push()
		m.w.buffers.borrow(&m.c.out)
		m.c.out.compact()
	}
	return m.c.out.data[:m.c.out.w]
}

// wrote has what was appended to control written. If it did not fit the client has not read many answers: it is over.
func (m *mux) wrote(out []byte) {
	if len(out) > len(m.c.out.data) {
		m.fail(h2.EnhanceYourCalm)
	} else {
		m.c.out.w = len(out)
	}
	m.schedule()
}

// schedule has the connection written at the end of the batch.
func (m *mux) schedule() {
	if !m.queued && !m.dead {
		m.queued = true
		m.w.loop.Defer(loop.Clients, 0, m)
	}
}

// Waiting implements loop.Flusher.
func (m *mux) Waiting() (fd int, b []byte) {
	m.queued = false
	if m.dead || m.jammed || m.severed || !m.c.canWrite {
		return -1, nil
	}
	m.gather()
	return m.c.fd, m.c.out.bytes()
}

// Written implements loop.Flusher.
func (m *mux) Written(n int, errno unix.Errno) { m.c.wrote(n, errno) }

// Flushed implements loop.Flusher.
func (m *mux) Flushed() {
	if m.dead {
		return
	}
	m.pump()
	m.tell()
	if m.held && !m.stalled() || m.c.lost {
		m.advance()
		return
	}
	m.settle()
}

// pump writes until nothing is left, or the client reads no more.
func (m *mux) pump() {
	for !m.jammed {
		switch {
		case !m.c.push():
			m.jam()
		case m.gather() == 0:
			return
		}
	}
}
