package stick

import "time"

// Server is what an entry of a table that clients stick by knows of the server that its client was sent to: the number
// for people, as HAProxy shows it, the name to find it by, since numbers change when a configuration does.
type Server struct {
	ID   int
	Name string // "": none is known
}

// Server gives the server that is stored for a key, and touches its entry; false if there is none.
func (t *Table) Server(key []byte) (Server, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.now()
	e := t.find(key, at)
	if e == nil || e.server.Name == "" {
		return Server{}, false
	}
	t.touch(e, at)
	return e.server, true
}

// SetServer stores the server of a key. A table that is full forgets its oldest entry for it, unless none may go: then
// nothing is stored. The key is copied.
func (t *Table) SetServer(key []byte, s Server) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.now()
	e := t.find(key, at)
	if e == nil {
		if e = t.add(key); e == nil {
			return
		}
		e.place = t.recent.PushFront(e)
	}
	e.server = s
	t.touch(e, at)
}

// touch puts off the end of an entry.
func (t *Table) touch(e *Entry, at time.Duration) {
	e.touched = at
	if e.place != nil {
		t.recent.MoveToFront(e.place)
	}
}
