package h2

import "errors"

// Fields is told of the fields of a block, in their order. Both slices are valid until it returns.
type Fields interface {
	Field(name, value []byte)
}

// ErrBlock says that a block is no HPACK. The connection cannot go on, since what was to be remembered is not known.
var ErrBlock = errors.New("malformed block of compressed fields")

// TableSize is the most that a peer may have us remember, in the measure of RFC 7541, section 4.1: the default, which we leave
// as it is.
const TableSize = 4096

// Decoder reads blocks of fields. The zero value is ready. Between two blocks it holds at most some 20 kB.
type Decoder struct {
	table       table
	name, value []byte // of strings in Huffman code
}

// Decode reads a whole block.
func (d *Decoder) Decode(b []byte, to Fields) error {
	defer func() { d.name, d.value = spare(d.name), spare(d.value) }()
	begun := false
	for len(b) > 0 {
		var ok bool
		switch c := b[0]; {
		case c&0x80 != 0: // indexed
			var index int
			if index, b, ok = readInt(b, 7); ok {
				var f field
				if f, ok = d.at(index); ok {
					to.Field(f.name, f.value)
				}
			}
		case c&0xe0 == 0x20: // the table's size
			var size int
			if size, b, ok = readInt(b, 5); ok {
				ok = !begun && size <= TableSize
				d.table.resize(size)
			}
			if !ok {
				return ErrBlock
			}
			continue
		case c&0xc0 == 0x40:
			b, ok = d.literal(b, 6, to)
		default: // not to be remembered, by us or by anybody
			b, ok = d.literal(b, 4, to)
		}
		if !ok {
			return ErrBlock
		}
		begun = true
	}
	return nil
}

// spare is what is kept of scratch memory: not what a single large field has taken.
func spare(b []byte) []byte {
	if cap(b) > TableSize {
		return nil
	}
	return b[:0]
}

// literal reads a field whose value, and perhaps name, is told. With 6 bits it is to be remembered.
func (d *Decoder) literal(b []byte, bits uint, to Fields) (rest []byte, ok bool) {
	index, b, ok := readInt(b, bits)
	if !ok {
		return nil, false
	}
	var f field
	if index > 0 {
		f, ok = d.at(index)
		d.name = append(d.name[:0], f.name...) // the table may forget it for what is remembered now
		f.name = d.name
	} else {
		f.name, b, ok = readString(b, &d.name)
	}
	if !ok {
		return nil, false
	}
	if f.value, b, ok = readString(b, &d.value); !ok {
		return nil, false
	}
	to.Field(f.name, f.value)
	if bits == 6 {
		d.table.add(f.name, f.value)
	}
	return b, true
}

// at is a field by its index: in the static table, and then in the dynamic one, the newest first.
func (d *Decoder) at(index int) (f field, ok bool) {
	if index > 0 && index < len(static) {
		return static[index], true
	}
	return d.table.at(index - len(static))
}

// readInt reads a number behind a prefix of so many bits (RFC 7541, section 5.1). None that is of use takes more than three
// further bytes.
func readInt(b []byte, bits uint) (n int, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	most := 1<<bits - 1
	n = int(b[0]) & most
	if b = b[1:]; n < most {
		return n, b, true
	}
	for shift := uint(0); shift < 3*7 && len(b) > 0; shift += 7 {
		c := b[0]
		b = b[1:]
		n += int(c&0x7f) << shift
		if c&0x80 == 0 {
			return n, b, true
		}
	}
	return 0, nil, false
}

// readString reads a string: where it lies, or if it is in Huffman code, into scratch.
func readString(b []byte, scratch *[]byte) (s, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, nil, false
	}
	coded := b[0]&0x80 != 0
	n, b, ok := readInt(b, 7)
	if !ok || n > len(b) {
		return nil, nil, false
	}
	s, rest = b[:n], b[n:]
	if coded {
		*scratch, ok = appendHuffman((*scratch)[:0], s)
		s = *scratch
	}
	return s, rest, ok
}

// entry is a field of the dynamic table.
type entry struct {
	at          uint64 // of its name, in all that was ever added; its value follows
	name, value int    // their lengths
}

func (e entry) size() int { return e.name + e.value + entrySize }

// entrySize is what each field counts besides its bytes (RFC 7541, section 4.1).
const entrySize = 32

// table is the dynamic table: its bytes in one piece of memory, behind each other, the oldest first, which is moved down when
// its end is reached.
type table struct {
	data    []byte
	base    uint64 // what was added before data[0]
	entries []entry
	first   int // those in front are forgotten
	size    int
	limit   int // what the peer has set it to
	limited bool
}

func (t *table) at(i int) (f field, ok bool) {
	n := len(t.entries) - 1 - i
	if i < 0 || n < t.first {
		return field{}, false
	}
	e := t.entries[n]
	b := t.data[e.at-t.base:]
	return field{b[:e.name:e.name], b[e.name : e.name+e.value : e.name+e.value]}, true
}

func (t *table) most() int {
	if t.limited {
		return t.limit
	}
	return TableSize
}

func (t *table) resize(size int) {
	t.limit, t.limited = size, true
	t.evict(size)
}

// evict forgets the oldest until the rest takes no more than size.
func (t *table) evict(size int) {
	for t.size > size {
		t.size -= t.entries[t.first].size()
		t.first++
	}
	if t.first == len(t.entries) {
		t.base += uint64(len(t.data))
		t.data, t.entries, t.first = t.data[:0], t.entries[:0], 0
	}
}

// add remembers a field, neither part of which may be in the table. One that is too large for it empties it.
func (t *table) add(name, value []byte) {
	e := entry{name: len(name), value: len(value)}
	if e.size() > t.most() {
		t.evict(0)
		return
	}
	t.evict(t.most() - e.size())
	if n := len(t.data) + e.name + e.value; n > cap(t.data) && n > 2*TableSize || len(t.entries) > 2*TableSize/entrySize {
		t.moveDown()
	}
	e.at = t.base + uint64(len(t.data))
	t.data = append(append(t.data, name...), value...)
	t.entries = append(t.entries, e)
	t.size += e.size()
}

func (t *table) moveDown() {
	if t.first > 0 {
		gone := int(t.entries[t.first].at - t.base) // one is left, since evict begins anew where none is
		t.data = t.data[:copy(t.data, t.data[gone:])]
		t.base += uint64(gone)
		t.entries = t.entries[:copy(t.entries, t.entries[t.first:])]
		t.first = 0
	}
}
