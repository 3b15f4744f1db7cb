package loop

import (
	"cmp"
	"slices"

	"golang.org/x/sys/unix"

	"waggle/pkg/proxy/sock"
)

// Flusher has something to write at the end of a batch. The loop does that, together with the writes of others.
type Flusher interface {
	// Waiting gives what is to be written to which socket; no bytes if there is nothing any more.
	Waiting() (fd int, b []byte)
	// Written tells what came of that. Neither may act on anything else: others are being written, too.
	Written(n int, errno unix.Errno)
	// Flushed is called when all have been told, whether anything was written or not.
	Flushed()
}

// Rank orders flushes: all of a lower rank come before the first of a higher one.
type Rank uint8

// The ranks: servers first, so that they work while the clients are answered.
const (
	Servers Rank = iota
	Clients
	ranks
)

// deferred is a flush at the end of the batch.
type deferred struct {
	group uint32
	f     Flusher
}

// Defer has f flush at the end of this batch, next to the others of its group within the rank: a server that is
// written to several times in a row is woken once, and finds all of it. The caller sees to it that f is queued once.
func (l *Loop) Defer(rank Rank, group uint32, f Flusher) {
	l.flush[rank] = append(l.flush[rank], deferred{group, f})
}

// runFlushes flushes what was deferred, the servers' rank first, and then what the flushes deferred.
func (l *Loop) runFlushes() {
	for len(l.flush[Servers])+len(l.flush[Clients]) > 0 {
		l.flushing = l.flushing[:0]
		for rank := range l.flush {
			list := l.flush[rank]
			if len(list) > 2 {
				slices.SortStableFunc(list, func(a, b deferred) int { return cmp.Compare(a.group, b.group) })
			}
			l.flushing = append(l.flushing, list...)
			clear(list)
			l.flush[rank] = list[:0]
		}
		for part := range slices.Chunk(l.flushing, sock.BatchSize) {
			l.write(part)
		}
		for _, d := range l.flushing {
			d.f.Flushed()
		}
		clear(l.flushing)
	}
}

// write writes for at most as many as a call takes.
func (l *Loop) write(list []deferred) {
	l.written = l.written[:0]
	for _, d := range list {
		fd, b := d.f.Waiting()
		switch {
		case len(b) == 0:
		case l.many == nil:
			d.f.Written(sock.Write(fd, b))
		default:
			l.many.Add(fd, b)
			l.written = append(l.written, d.f)
		}
	}
	if len(l.written) == 0 {
		return
	}
	for i, r := range l.many.Submit() {
		l.written[i].Written(r.N, r.Errno)
	}
	clear(l.written)
}
