package accesslog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Options are what all targets of a logger share. Zero fields mean their defaults.
type Options struct {
	Tag      string         // the program's name in syslog headers (log-tag), default haproxy: filters look for it
	Hostname string         // log-send-hostname; "" sends none
	PID      int            // default this process
	Location *time.Location // of times in lines and headers, default time.Local
	// QueueBytes bounds the lines that wait to be written, default 1 MiB.
	QueueBytes int
	// Now is the clock, default time.Now.
	Now func() time.Time
}

const (
	defaultQueue = 1 << 20
	// writePatience is how long one write may wait for a reader that does not read.
	writePatience = 100 * time.Millisecond
	// flushPatience is how long Close waits for what is queued.
	flushPatience = time.Second
)

// Logger writes lines to a set of targets. It is safe for concurrent use. Whoever makes one calls Close.
type Logger struct {
	opts       Options
	host       string // the system's name, for formats
	targets    []*target
	structured bool // a target shows structured data
	dropped    atomic.Uint64
	wake       chan struct{} // capacity 1: there is something to write
	done       chan struct{} // the writer has ended

	mu       sync.Mutex
	queue    []byte // records
	closed   bool
	deadline atomic.Int64 // when the writer gives up, in Unix nanoseconds; 0 = not closing
}

// New opens the targets and starts the writer. With no targets lines go nowhere, at no cost. An error names the
// target that cannot be opened or is not understood.
func New(targets []Target, o Options) (*Logger, error) {
	if o.Tag == "" {
		o.Tag = "haproxy"
	}
	if o.PID == 0 {
		o.PID = os.Getpid()
	}
	if o.Location == nil {
		o.Location = time.Local
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = defaultQueue
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Logger{opts: o, wake: make(chan struct{}, 1), done: make(chan struct{})}
	l.host, _ = os.Hostname()
	for _, t := range targets {
		p, err := newTarget(t, &o)
		if err != nil {
			return nil, errors.Join(err, l.closeSinks())
		}
		l.targets = append(l.targets, p)
		l.structured = l.structured || p.format == formatRFC5424
	}
	if len(l.targets) == 0 {
		l.closed = true
		close(l.done)
		return l, nil
	}
	go l.write()
	return l, nil
}

// Log queues the line of e. It does not block on any target; when the queue is full the line is dropped. A nil logger
// takes everything and writes nothing.
func (l *Logger) Log(e *Entry) {
	if l == nil {
		return
	}
	l.mu.Lock()
	if from, ok := l.begin(e.level()); ok {
		e.pid, e.hostname = l.opts.PID, l.host
		l.appendData(e, from)
		l.queue = e.Append(l.queue, l.opts.Location)
		l.commit(from)
	}
	l.mu.Unlock()
}

// Process queues a line of the process itself: a server's change of state, a backend without servers.
func (l *Logger) Process(level Level, text string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	if from, ok := l.begin(level); ok {
		l.queue = appendEscaped(l.queue, text, inText)
		l.commit(from)
	}
	l.mu.Unlock()
}

// Write queues a line, or several, as they are, and so never blocks or fails: it makes a Logger an [io.Writer] for a process's own
// words. The last line end is the target's.
func (l *Logger) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(text) == 0 {
		return 0, nil
	}
	if from, ok := l.begin(Info); ok {
		l.queue = append(l.queue, bytes.TrimSuffix(text, []byte("\n"))...)
		l.commit(from)
	}
	return len(text), nil
}

// Dropped is the number of lines that were not written since the start: the queue was full, or a
// target refused its copy (each target counts).
func (l *Logger) Dropped() uint64 {
	if l == nil {
		return 0
	}
	return l.dropped.Load()
}

// Close writes what is queued, for at most a second, and closes the targets (never stdout or stderr themselves). Lines
// that come later are dropped. It may be called twice.
func (l *Logger) Close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	if !l.closed {
		l.closed = true
		l.deadline.Store(time.Now().Add(flushPatience).UnixNano())
		close(l.wake)
	}
	l.mu.Unlock()
	<-l.done
	return l.closeSinks()
}

func (l *Logger) closeSinks() error {
	var errs []error
	for _, t := range l.targets {
		errs = append(errs, t.sink.close())
	}
	l.targets = nil
	return errors.Join(errs...)
}

// A record in the queue is its level, its time, the lengths of its structured data and of its text, and these two.
const (
	recordHead = dataSizeAt + 4 + 4
	dataSizeAt = 1 + 8
	textSizeAt = dataSizeAt + 4
)

// begin opens a record at the end of the queue. The caller holds the lock, appends the text and commits.
func (l *Logger) begin(level Level) (from int, ok bool) {
	if l.closed {
		if l.deadline.Load() != 0 {
			l.dropped.Add(1)
		}
		return 0, false
	}
	if len(l.queue) >= l.opts.QueueBytes {
		l.dropped.Add(1)
		return 0, false
	}
	from = len(l.queue)
	l.queue = append(l.queue, byte(level))
	l.queue = binary.NativeEndian.AppendUint64(l.queue, uint64(l.opts.Now().UnixNano()))
	l.queue = binary.NativeEndian.AppendUint64(l.queue, 0)
	return from, true
}

// appendData appends the structured data of e to the record that begins at from, if a target shows it. What is longer
// than any line is left out: cut off it would be none.
func (l *Logger) appendData(e *Entry, from int) {
	if e.Data == nil || !l.structured {
		return
	}
	l.queue = e.appendFormat(l.queue, e.Data, l.opts.Location)
	size := len(l.queue) - from - recordHead
	if size > maxLength {
		size = 0
		l.queue = l.queue[:from+recordHead]
	}
	binary.NativeEndian.PutUint32(l.queue[from+dataSizeAt:], uint32(size))
}

func (l *Logger) commit(from int) {
	text := from + recordHead + int(binary.NativeEndian.Uint32(l.queue[from+dataSizeAt:]))
	size := len(l.queue) - text
	if size > maxLength {
		size = maxLength
		l.queue = l.queue[:text+size]
	}
	binary.NativeEndian.PutUint32(l.queue[from+textSizeAt:], uint32(size))
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write is the writer: it takes the whole queue at once and leaves an empty one of the same size behind.
func (l *Logger) write() {
	defer close(l.done)
	var batch []byte
	for open := true; open; {
		_, open = <-l.wake
		l.mu.Lock()
		batch, l.queue = l.queue, batch[:0]
		l.mu.Unlock()
		l.writeBatch(batch)
	}
}

// writeBatch sends each record of batch to each target that wants it, in order.
func (l *Logger) writeBatch(batch []byte) {
	for len(batch) > 0 {
		level := Level(batch[0])
		now := time.Unix(0, int64(binary.NativeEndian.Uint64(batch[1:])))
		from := recordHead + int(binary.NativeEndian.Uint32(batch[dataSizeAt:]))
		end := from + int(binary.NativeEndian.Uint32(batch[textSizeAt:]))
		data, text := batch[recordHead:from], batch[from:end]
		for _, t := range l.targets {
			if level > t.level || !t.wants() {
				continue
			}
			from := len(t.pending)
			t.pending = t.appendLine(t.pending, level, now, data, text)
			t.lines++
			if len(t.pending) > t.room && from > 0 {
				// The new line does not fit behind the others: send those, keep this.
				last := t.pending[from:]
				l.send(t, t.pending[:from], t.lines-1)
				t.pending, t.lines = append(t.pending[:0], last...), 1
			}
		}
		batch = batch[end:]
	}
	for _, t := range l.targets {
		if t.lines > 0 {
			l.send(t, t.pending, t.lines)
		}
		t.pending, t.lines = t.pending[:0], 0
	}
}

// send writes lines to t, or counts them as dropped.
func (l *Logger) send(t *target, text []byte, lines int) {
	err := t.sink.write(text, l.patience(t))
	if err != nil {
		l.dropped.Add(uint64(lines))
	}
	t.stuck = errors.Is(err, errStuck)
}

// patience is until when lines may wait for t. A reader that does not read is waited for once, so that it does not
// hold up the other targets; once the logger closes, all lines together have until its deadline.
func (l *Logger) patience(t *target) time.Time {
	if t.stuck {
		return time.Time{}
	}
	if d := l.deadline.Load(); d != 0 {
		return time.Unix(0, d)
	}
	return time.Now().Add(writePatience)
}
