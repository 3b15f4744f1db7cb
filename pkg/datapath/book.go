package datapath

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"unsafe"

	"github.com/cilium/ebpf"
)

// The maps that only a pinned kernel path has: what its process would otherwise know by itself, for the one behind it. An entry
// is written before anything in the kernel refers to it, and deleted after that.
const (
	bookGauges   = "wg_book_gauges" // gaugeKey to index into wg_gauges
	bookCounters = "wg_book_pairs"  // pair to index into wg_counters
	bookNames    = "wg_book_names"  // gaugeKey to the name in the configuration
	bookPast     = "wg_book_past"   // gaugeKey, or pastTotal, to a sum of the ledger
	bookPrograms = "wg_book_progs"  // interface to the id of the program that was put on it
	bookNameLen  = 128
)

// pastTotal is the key of the ledger's total in bookPast.
var pastTotal = entry{2, 0}

// bookSpecs are the maps of the book, in the order of openBook. sizes are those of the maps that they are about.
func bookSpecs(sizes map[string]*ebpf.MapSpec) []*ebpf.MapSpec {
	hash := func(name string, value, entries uint32) *ebpf.MapSpec {
		return &ebpf.MapSpec{Name: name, Type: ebpf.Hash, KeySize: 8, ValueSize: value, MaxEntries: entries, Flags: noPrealloc}
	}
	gauges := sizes[lbMapWgGauges].MaxEntries
	return []*ebpf.MapSpec{hash(bookGauges, 4, gauges), hash(bookCounters, 4, counterMax), hash(bookNames, bookNameLen, gauges), hash(bookPast, uint32(unsafe.Sizeof(lbWgCounter{})), gauges+1),
		hash(bookPrograms, 4, sizes[lbMapWgIfaces].MaxEntries)}
}

// openBook is the book of these maps, which are its own from then on.
func openBook(maps []*ebpf.Map) *book {
	return &book{gauges: maps[0], counters: maps[1], names: maps[2], past: maps[3], programs: maps[4]}
}

const noPrealloc = 1 // BPF_F_NO_PREALLOC

// entry is a key of an index, as the book has it.
type entry [2]uint32

func (p pair) entry() entry { return entry{p.service, p.server} }

func (k gaugeKey) entry() entry {
	if k.server {
		return entry{1, k.id}
	}
	return entry{0, k.id}
}

func pairOf(e entry) pair         { return pair{service: e[0], server: e[1]} }
func gaugeKeyOf(e entry) gaugeKey { return gaugeKey{server: e[0] == 1, id: e[1]} }

// storedName is a name as the book has it. Of a longer one the end is replaced by a digest.
func storedName(name string) (stored [bookNameLen]byte) {
	if len(name) >= bookNameLen {
		sum := sha256.Sum256([]byte(name))
		digest := hex.EncodeToString(sum[:8])
		name = name[:bookNameLen-1-len(digest)] + digest
	}
	copy(stored[:], name)
	return stored
}

// Identities are the ids that were given to frontends and servers by a process before this one, by their names. A name that is
// longer than 127 bytes is found by Service and Server only.
type Identities struct {
	services, servers map[[bookNameLen]byte]uint32
}

// Service returns the id of a service, 0 if it had none.
func (i Identities) Service(name string) uint32 { return i.services[storedName(name)] }

// Server returns the id of a server, 0 if it had none.
func (i Identities) Server(name string) uint32 { return i.servers[storedName(name)] }

// Max is the highest id of services and servers; new ones have to be above it, since flows may have it.
func (i Identities) Max() (service, server uint32) {
	for _, id := range i.services {
		service = max(service, id)
	}
	for _, id := range i.servers {
		server = max(server, id)
	}
	return service, server
}

// ReadIdentities returns what a process before this one has left under the directory of pins, which is nothing if it is
// empty, or of another version: Open will say so then.
func ReadIdentities(pinDir string) (Identities, error) {
	found := Identities{services: make(map[[bookNameLen]byte]uint32), servers: make(map[[bookNameLen]byte]uint32)}
	spec, err := specFor(Options{}.withDefaults())
	if err != nil {
		return found, err
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(pinDir, layoutOf(spec.Maps, bookSpecs(spec.Maps)), bookNames), &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		return found, nil
	}
	defer m.Close()
	names, err := readMap[entry, [bookNameLen]byte](m)
	if err != nil {
		return found, fmt.Errorf("read the names of the kernel path before: %w", err)
	}
	for e, name := range names {
		if key := gaugeKeyOf(e); key.server {
			found.servers[name] = key.id
		} else {
			found.services[name] = key.id
		}
	}
	return found, nil
}

// book is the maps of the book; nil where nothing is pinned.
type book struct {
	gauges, counters, names, past, programs *ebpf.Map
}

func (b *book) close() error {
	if b == nil {
		return nil
	}
	return errors.Join(b.gauges.Close(), b.counters.Close(), b.names.Close(), b.past.Close(), b.programs.Close())
}

// name notes the name of a service or server.
func (b *book) name(key gaugeKey, name string) error {
	if b == nil || name == "" {
		return nil
	}
	if err := b.names.Put(key.entry(), storedName(name)); err != nil {
		return fmt.Errorf("note the name %s: %w", name, err)
	}
	return nil
}

// forget drops a name and what the ledger has of it.
func (b *book) forget(key gaugeKey) error {
	if b == nil {
		return nil
	}
	return errors.Join(ignoreMissing(b.names.Delete(key.entry())), ignoreMissing(b.past.Delete(key.entry())))
}

// carry notes the sums of the ledger that a pair is part of.
func (b *book) carry(l *ledger, p pair) error {
	if b == nil {
		return nil
	}
	service, server := gaugeKey{id: p.service}, gaugeKey{server: true, id: p.server}
	err := errors.Join(b.past.Put(pastTotal, l.total), b.past.Put(service.entry(), l.services[p.service]), b.past.Put(server.entry(), l.servers[p.server]))
	if err != nil {
		return fmt.Errorf("note what a server has counted: %w", err)
	}
	return nil
}

// readPast returns the ledger that the book has.
func (b *book) readPast() (ledger, error) {
	l := newLedger()
	sums, err := readMap[entry, lbWgCounter](b.past)
	for e, sum := range sums {
		if e == pastTotal {
			l.total = sum
		} else if key := gaugeKeyOf(e); key.server {
			l.servers[key.id] = sum
		} else {
			l.services[key.id] = sum
		}
	}
	return l, err
}

// program notes, before it is done, that a program is put on an interface.
func (b *book) program(p *ebpf.Program, ifindex int) error {
	if b == nil {
		return nil
	}
	info, err := p.Info()
	if err != nil {
		return fmt.Errorf("note the program: %w", err)
	}
	id, ok := info.ID()
	if !ok {
		return errors.New("note the program: it has no id")
	}
	if err := b.programs.Put(entry{uint32(ifindex)}, uint32(id)); err != nil {
		return fmt.Errorf("note the program: %w", err)
	}
	return nil
}

// left drops the note, when the program is off the interface.
func (b *book) left(ifindex int) error {
	if b == nil {
		return nil
	}
	return ignoreMissing(b.programs.Delete(entry{uint32(ifindex)}))
}
