package accesslog

import (
	"cmp"
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"
)

// RingConfig is a `ring` section (HAProxy's manual, chapter 3.9).
type RingConfig struct {
	Name, Description string
	Format            string // as of a Target; "" is raw. It counts for all lines, whatever their `log` lines say
	Size              int    // bytes that are kept
	MaxLength         int    // of a line with its header; what is longer is cut
	Servers           []RingServer
	// ConnectTimeout bounds connecting to a server, ServerTimeout a write to it; 0 is defaultRingTimeout.
	ConnectTimeout, ServerTimeout time.Duration
}

// RingServer takes the lines of a ring over TCP, as syslog servers do (RFC 6587).
type RingServer struct {
	Address    string
	OctetCount bool // each line begins with its length, instead of ending in a line feed
}

// Ring keeps the last lines of a log in memory. Old lines make room for new ones: nobody who reads holds the log up. It is
// safe for concurrent use. Whoever makes one calls Close.
type Ring struct {
	cfg     RingConfig
	dropped atomic.Uint64
	stop    context.CancelFunc
	senders sync.WaitGroup

	mu         sync.Mutex
	buf        []byte
	tail, head Cursor        // of the oldest line, and behind the newest
	more       chan struct{} // closed when a line comes; nil while nobody waits
}

// Cursor is a place between two lines of a ring. The zero value is before the first line that ever was.
type Cursor struct{ at, line uint64 } // in bytes and in lines since the beginning

// Before says whether c is before d.
func (c Cursor) Before(d Cursor) bool { return c.at < d.at }

// lineHead is the length that stands before each line in the buffer.
const lineHead = 2

// NewRing makes a ring and begins to send its lines to its servers.
func NewRing(cfg RingConfig) *Ring {
	ctx, stop := context.WithCancel(context.Background())
	r := &Ring{cfg: cfg, buf: make([]byte, cfg.Size), stop: stop}
	for _, s := range cfg.Servers {
		r.senders.Go(func() { (&ringSender{ring: r, server: s}).run(ctx) })
	}
	return r
}

// Name is the section's name.
func (r *Ring) Name() string { return r.cfg.Name }

// Description is what the section says of itself, or its name.
func (r *Ring) Description() string { return cmp.Or(r.cfg.Description, r.cfg.Name) }

// Dropped is the number of lines that servers are known not to have got: they made room before a server was there again, or the
// ring was closed.
func (r *Ring) Dropped() uint64 { return r.dropped.Load() }

// Close sends what servers that are there have not got yet, for at most a second, and lets the lines go.
func (r *Ring) Close() error {
	r.stop()
	r.senders.Wait()
	return nil
}

// append adds a line, which has no line end.
func (r *Ring) append(line []byte) {
	line = line[:min(len(line), len(r.buf)-lineHead, maxLength)]
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.head.at-r.tail.at+uint64(lineHead+len(line)) > uint64(len(r.buf)) {
		r.tail = r.behind(r.tail)
	}
	var head [lineHead]byte
	binary.LittleEndian.PutUint16(head[:], uint16(len(line)))
	r.put(r.head.at, head[:])
	r.put(r.head.at+lineHead, line)
	r.head = Cursor{r.head.at + uint64(lineHead+len(line)), r.head.line + 1}
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// put writes at a place, around the end of the buffer. The caller holds the lock, as for get and behind.
func (r *Ring) put(at uint64, data []byte) {
	i := int(at % uint64(len(r.buf)))
	n := copy(r.buf[i:], data)
	copy(r.buf, data[n:])
}

func (r *Ring) get(at uint64, into []byte) {
	i := int(at % uint64(len(r.buf)))
	n := copy(into, r.buf[i:])
	copy(into[n:], r.buf)
}

// length is that of the line at c.
func (r *Ring) length(c Cursor) int {
	var head [lineHead]byte
	r.get(c.at, head[:])
	return int(binary.LittleEndian.Uint16(head[:]))
}

func (r *Ring) behind(c Cursor) Cursor {
	return Cursor{c.at + uint64(lineHead+r.length(c)), c.line + 1}
}

// Newest is the place behind the last line.
func (r *Ring) Newest() Cursor {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.head
}

// Next appends the line behind c to dst, and gives where it begins and the place behind it; ok is false if there is none yet.
// It begins later than c says when lines have made room since.
func (r *Ring) Next(c Cursor, dst []byte) (text []byte, from, next Cursor, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.at < r.tail.at {
		c = r.tail
	}
	if c.at >= r.head.at {
		return dst, c, c, false
	}
	at, n := len(dst), r.length(c)
	dst = append(dst, make([]byte, n)...)
	r.get(c.at+lineHead, dst[at:])
	return dst, c, r.behind(c), true
}

// More returns a channel that is closed when there is a line behind c, at once if there is.
func (r *Ring) More(c Cursor) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.at < r.head.at {
		ready := make(chan struct{})
		close(ready)
		return ready
	}
	if r.more == nil {
		r.more = make(chan struct{})
	}
	return r.more
}

// ringSink is a ring as what a target writes to.
type ringSink struct{ ring *Ring }

func (s ringSink) write(line []byte, _ time.Time) error {
	s.ring.append(line[:len(line)-1]) // without its line feed
	return nil
}

func (s ringSink) close() error { return nil } // it belongs to whoever made it
