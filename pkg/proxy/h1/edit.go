package h1

// Edits are changes to a head, in the order in which rules made them. Names and values are copied, so the
// arguments may be reused at once. The zero value changes nothing; a nil *Edits reads as one.
type Edits struct {
	text   []byte
	ops    []edit
	target span
}

type editKind uint8

const (
	editAdd editKind = iota
	editSet
	editDel
)

type edit struct {
	kind        editKind
	name, value span
}

// Reset forgets all changes and keeps the storage.
func (e *Edits) Reset() {
	e.text, e.ops, e.target = e.text[:0], e.ops[:0], span{}
}

// Add appends a field behind those that are there.
func (e *Edits) Add(name, value string) { panic("h1: not written yet") }

// AddBytes is Add for a value in bytes.
func (e *Edits) AddBytes(name string, value []byte) { panic("h1: not written yet") }

// Set removes all fields called name and appends one.
func (e *Edits) Set(name, value string) { panic("h1: not written yet") }

// SetBytes is Set for a value in bytes.
func (e *Edits) SetBytes(name string, value []byte) { panic("h1: not written yet") }

// Del removes all fields called name.
func (e *Edits) Del(name string) { panic("h1: not written yet") }

// SetTarget replaces the request target.
func (e *Edits) SetTarget(target []byte) { panic("h1: not written yet") }

// Header is Head.Header as it will be after the edits, for rules that look at what earlier rules changed.
func (e *Edits) Header(h *Head, name string) []byte { panic("h1: not written yet") }

// Headers is Head.Headers as it will be after the edits.
func (e *Edits) Headers(h *Head, name string, fn func(value []byte) bool) {
	panic("h1: not written yet")
}
