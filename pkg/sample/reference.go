package sample

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
)

// Reference is a list of patterns, or of keys with values: a file, shared by all that name it, or the patterns that stand on a
// line. Rules and the Runtime API change it while it is in use; what they change is lost at the next reload. It is safe for
// concurrent use.
type Reference struct {
	file        string // "" for patterns on a line
	id          int
	fixed       bool   // the id is from -u
	place       string // of patterns on a line
	pairs       bool   // two columns
	loaded      bool   // something looks at it, and not only rules change it
	acl, mapped bool   // who looks at it
	uses        []string

	// mu guards what follows. Readers of patterns on a line do without: their lists are few and small, and made anew for each change.
	mu            sync.RWMutex
	views         []*view
	current, next uint32 // versions
	versions      map[uint32]*version
	last          uint64 // number of the newest element
	grown         int64  // bytes that rules have added
}

// version is one set of a reference's elements: the current one, or one that is being prepared.
type version struct {
	first, last *element
	n           int
	byKey       map[string]*element // the first of each key; nil until something asks for one
	indexes     []*index            // one for each view
}

// element is a key, or a pattern, with its value.
type element struct {
	id         uint64
	key        string
	value      []byte // never changed in place
	prev, next *element
	same       *element // the next one with this key
}

// view is a reference as one or several conditions or converters look at it.
type view struct {
	ref     *Reference
	how     comparison
	out     Type // of the values
	pairs   bool // values matter
	at      int  // among the reference's views
	bare    bool // no pattern at all means true
	expands bool // values are templates for what a regular expression matched
	now     atomic.Pointer[index]
}

// find gives what v matches: its value, if the view has values. It allocates nothing.
func (w *view) find(e *evaluator, v Value) (Value, bool) {
	if w.ref.file == "" {
		x := w.now.Load()
		if x.n == 0 && w.bare {
			return Value{}, v.Int == 1
		}
		return Value{}, x.find(e, v) != nil
	}
	w.ref.mu.RLock()
	defer w.ref.mu.RUnlock()
	found := w.now.Load().find(e, v)
	if found == nil || !w.pairs {
		return Value{}, found != nil
	}
	if w.expands {
		return e.expandMatch(w.now.Load(), v.Text)
	}
	return w.value(found.value)
}

// value reads a value, of which it is known that it can be read.
func (w *view) value(b []byte) (Value, bool) {
	switch w.out {
	case Int:
		return integer(leadingInt(b)), true
	case Addr:
		a, ok := parseAddr(b)
		return address(a), ok
	}
	return text(b), true
}

// checkValue says what is wrong with a value.
func (w *view) checkValue(value string) *Error {
	if !w.pairs {
		return nil
	}
	if _, ok := mapValue(value, w.out); !ok {
		return errorf(0, "unable to parse '%s'", value)
	}
	return nil
}

// ErrFull is why a rule could not add to a reference: rules have added all that they may.
var ErrFull = errors.New("rules have added as much to the file as they may")

// maxGrown is how many bytes of memory rules may add to one file, about. HAProxy knows no limit, so that there a client whose
// requests choose the key can use up its memory.
const maxGrown = 32 << 20

// elementSize is about what an element takes besides its texts, in bytes.
const elementSize = 200

func (e *element) size() int64 { return int64(len(e.key) + len(e.value) + elementSize) }

// columns says what a file holds, by whether it has two columns.
var columns = map[bool]string{false: "pattern", true: "map"}

// view makes the view of a way of comparing. The error names the line of the file that does not fit.
func (r *Reference) view(how comparison, out Type, pairs bool) (*view, *Error) {
	w := &view{ref: r, how: how, out: out, pairs: pairs, at: len(r.views)}
	v := r.versions[r.current]
	x := newIndex(how, r.expected(v.n))
	for e := v.first; e != nil; e = e.next {
		p, err := how.compile(e.key)
		if err == nil {
			err = w.checkValue(string(e.value))
		}
		if err != nil {
			return nil, errorf(0, "%s, line %d of %s file '%s'", err.Text, e.id, columns[r.pairs], r.file)
		}
		x.add(p, e)
	}
	v.indexes = append(v.indexes, x)
	r.views = append(r.views, w)
	w.now.Store(x)
	return w, nil
}

// expected is for how many elements an index is made: those of files may become many.
func (r *Reference) expected(n int) int {
	if r.file == "" {
		return n
	}
	return max(n, linearLimit+1)
}

// read takes the lines of a file: patterns, or keys, blanks and values. Lines end at a carriage return as well. Empty lines and
// those whose first letter is # are passed by. Blanks before a pattern or key are, and those behind a value, but those behind a
// pattern belong to it, as HAProxy 2.6 has it. Each element's number is that of its line.
func (r *Reference) read(content []byte) {
	v := r.versions[r.current]
	for n, text := range bytes.Split(content, []byte("\n")) {
		line, _, _ := strings.Cut(string(text), "\r")
		key, value := strings.TrimLeft(line, " \t"), ""
		if key == "" || line[0] == '#' {
			continue
		}
		if i := strings.IndexAny(key, " \t"); i >= 0 && r.pairs {
			key, value = key[:i], strings.Trim(key[i:], " \t")
		}
		r.last = uint64(n + 1)
		v.append(&element{id: r.last, key: key, value: []byte(value)})
	}
}

// append puts an element at the end, without any index.
func (v *version) append(e *element) {
	v.n++
	if e.prev = v.last; e.prev == nil {
		v.first = e
	} else {
		e.prev.next = e
	}
	v.last = e
	if v.byKey != nil {
		v.know(e)
	}
}

// know enters an element by its key.
func (v *version) know(e *element) {
	first := v.byKey[e.key]
	if first == nil {
		v.byKey[e.key] = e
		return
	}
	for first.same != nil {
		first = first.same
	}
	first.same = e
}

// find gives the first element of a key; the others are same.
func (v *version) find(key string) *element {
	if v.byKey == nil {
		v.byKey = make(map[string]*element, v.n)
		for e := v.first; e != nil; e = e.next {
			v.know(e)
		}
	}
	return v.byKey[key]
}

// unlink takes an element out of the order and the keys.
func (v *version) unlink(e *element) {
	v.n--
	if e.prev == nil {
		v.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		v.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	if v.byKey == nil {
		return
	}
	if first := v.byKey[e.key]; first != e {
		for first.same != e {
			first = first.same
		}
		first.same = e.same
	} else if e.same != nil {
		v.byKey[e.key] = e.same
	} else {
		delete(v.byKey, e.key)
	}
}

// describe says where the reference is used, as HAProxy's Runtime API does.
func (r *Reference) describe() string {
	if r.file == "" {
		return r.place
	}
	return fmt.Sprintf("pattern loaded from file '%s' used by %s", r.file, strings.Join(r.uses, ", by "))
}
