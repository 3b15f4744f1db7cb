package sample

import (
	"cmp"
	"errors"
	"strconv"
	"strings"
)

// What the Runtime API answers where a change cannot be made, in HAProxy's words.
var (
	ErrKeyNotFound   = errors.New("Key not found.")                                             //nolint:staticcheck // HAProxy's words
	ErrEntryNotFound = errors.New("entry not found.")                                           //nolint:staticcheck // HAProxy's words
	ErrFuture        = errors.New("Version number in the future, please use 'prepare' before.") //nolint:staticcheck // nearly HAProxy's words
	ErrOutOfRange    = errors.New("Version number out of range.")                               //nolint:staticcheck // HAProxy's words
)

// Add adds an element to a version, the current one if it is nil, also where the key is there already: the first counts.
func (r *Reference) Add(at *uint32, key, value string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.current
	if at != nil {
		if n = *at; int32(n-r.next) > 0 {
			return ErrFuture
		}
	}
	return r.add(n, key, value)
}

func (r *Reference) add(n uint32, key, value string) error {
	compiled := make([]pattern, len(r.views))
	for i, w := range r.views {
		var err *Error
		if compiled[i], err = w.how.compile(key); err != nil {
			return err
		}
		if err := w.checkValue(value); err != nil {
			return err
		}
	}
	v := r.versions[n]
	if v == nil {
		v = r.newVersion()
		r.versions[n] = v
	}
	r.last++
	e := &element{id: r.last, key: key, value: []byte(value)}
	v.append(e)
	for i, x := range v.indexes {
		x.add(compiled[i], e)
	}
	r.show(n)
	return nil
}

// newVersion makes an empty one. Only versions of files have their indexes kept up to date.
func (r *Reference) newVersion() *version {
	v := &version{}
	if r.file != "" {
		for _, w := range r.views {
			v.indexes = append(v.indexes, newIndex(w.how, r.expected(0)))
		}
	}
	return v
}

// show has the readers see a version, if it is the current one.
func (r *Reference) show(n uint32) {
	if n != r.current {
		return
	}
	v := r.versions[n]
	if r.file == "" { // nobody sees what is being changed
		v.indexes = nil
		for _, w := range r.views {
			x := newIndex(w.how, v.n)
			for e := v.first; e != nil; e = e.next {
				p, _ := w.how.compile(e.key) // it was compiled before
				x.add(p, e)
			}
			w.now.Store(x)
		}
		return
	}
	for i, w := range r.views {
		w.now.Store(v.indexes[i])
	}
}

// Set gives another value to all elements of a key, or to the one that "#0x…" names.
func (r *Reference) Set(key, value string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.named(key)
	if len(found) == 0 {
		return ErrEntryNotFound
	}
	return r.set(found, value)
}

func (r *Reference) set(found []*element, value string) error {
	for _, w := range r.views {
		if err := w.checkValue(value); err != nil {
			return err
		}
	}
	for _, e := range found {
		e.value = []byte(value)
	}
	return nil
}

// named gives the elements of a key in the current version, or the one of a number.
func (r *Reference) named(key string) []*element {
	v := r.versions[r.current]
	if number, ok := strings.CutPrefix(key, "#"); ok {
		id, err := strconv.ParseUint(strings.TrimPrefix(number, "0x"), 16, 64)
		for e := v.first; e != nil && err == nil; e = e.next {
			if e.id == id {
				return []*element{e}
			}
		}
		return nil
	}
	var found []*element
	for e := v.find(key); e != nil; e = e.same {
		found = append(found, e)
	}
	return found
}

// Delete forgets all elements of a key, or the one that "#0x…" names.
func (r *Reference) Delete(key string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := r.named(key)
	if len(found) == 0 {
		return ErrKeyNotFound
	}
	r.delete(found)
	return nil
}

func (r *Reference) delete(found []*element) {
	v := r.versions[r.current]
	for _, e := range found {
		v.unlink(e)
		for _, x := range v.indexes {
			x.remove(e)
		}
		r.grown = max(0, r.grown-e.size())
	}
	r.show(r.current)
}

// Clear forgets all elements of a version, of the current one if it is nil.
func (r *Reference) Clear(at *uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.current
	if at != nil {
		n = *at
	}
	if n != r.current {
		delete(r.versions, n)
		return
	}
	r.grown = 0
	r.versions[n] = r.newVersion()
	r.show(n)
}

// Prepare begins a new version, which Add fills and Commit has take effect.
func (r *Reference) Prepare() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	return r.next
}

// Commit makes a version that was prepared the current one, and forgets those before.
func (r *Reference) Commit(n uint32) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if int32(n-r.current) <= 0 || int32(n-r.next) > 0 {
		return ErrOutOfRange
	}
	for other := range r.versions {
		if int32(other-n) < 0 {
			delete(r.versions, other)
		}
	}
	if r.versions[n] == nil {
		r.versions[n] = r.newVersion()
	}
	r.current, r.grown = n, 0
	r.show(n)
	return nil
}

// Put is what a set-map or add-acl rule does: it gives a key a value, or adds it. A key or value of the wrong kind is passed by,
// as HAProxy does. ErrFull says that there is no room; what the rule may change otherwise is not bounded by it.
func (r *Reference) Put(key, value []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.loaded {
		return nil
	}
	if found := r.versions[r.current].find(string(key)); found != nil {
		return r.putAgain(found, value)
	}
	size := int64(len(key) + len(value) + elementSize)
	if r.grown+size > maxGrown {
		return ErrFull
	}
	if r.add(r.current, string(key), string(value)) == nil {
		r.grown += size
	}
	return nil
}

// putAgain sets the value of a key that is there.
func (r *Reference) putAgain(first *element, value []byte) error {
	more := int64(0)
	var all []*element
	for e := first; e != nil; e = e.same {
		if string(e.value) != string(value) {
			all = append(all, e)
			more += int64(len(value) - len(e.value))
		}
	}
	if more > 0 && r.grown+more > maxGrown {
		return ErrFull
	}
	if len(all) > 0 && r.set(all, string(value)) == nil {
		r.grown = max(0, r.grown+more)
	}
	return nil
}

// Drop is what a del-map or del-acl rule does.
func (r *Reference) Drop(key []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.loaded {
		return
	}
	if first := r.versions[r.current].find(string(key)); first != nil {
		r.delete(r.named(string(key)))
	}
}

// Line is one element, as the Runtime API shows it.
type Line struct {
	ID         uint64
	Key, Value string
}

// Lines gives the elements of a version in order, of the current one if it is nil.
func (r *Reference) Lines(at *uint32) []Line {
	r.mu.RLock()
	defer r.mu.RUnlock()
	n := r.current
	if at != nil {
		n = *at
	}
	v := r.versions[n]
	if v == nil {
		return nil
	}
	lines := make([]Line, 0, v.n)
	for e := v.first; e != nil; e = e.next {
		lines = append(lines, Line{e.id, e.key, string(e.value)})
	}
	return lines
}

// Finding says what one way of comparing makes of a text.
type Finding struct {
	Method     string
	Fold, Tree bool // without case; found without trying all patterns
	Found      bool
	Key, Value string
	ValueType  string // str, sint or ip; "" for none
}

// Look looks a text up in each way that conditions and converters do.
func (r *Reference) Look(word string) []Finding {
	e := evaluators.Get().(*evaluator)
	defer e.release()
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []Finding
	for _, w := range r.views {
		f := Finding{Method: w.how.method.String(), Fold: w.how.fold}
		e.scratch = e.scratch[:0]
		v, ok := e.cast(text([]byte(word)), w.how.method.input())
		if ok {
			if found := w.now.Load().find(e, v); found != nil {
				f.Found, f.Key, f.Value = true, found.key, string(found.value)
				f.Tree = !w.how.fold && (w.how.method == matchString || w.how.method == matchBegin || w.how.method == matchAddr)
				if w.pairs {
					f.ValueType = map[Type]string{Int: "sint", Addr: "ip"}[w.out]
					f.ValueType = cmp.Or(f.ValueType, "str")
				}
			}
		}
		all = append(all, f)
	}
	return all
}
