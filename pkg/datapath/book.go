package datapath

import (
	"errors"
	"fmt"
	"unsafe"

	"github.com/cilium/ebpf"
)

// The maps that only a pinned kernel path has: what its process would otherwise know by itself, for the one behind it. An entry
// is written before anything in the kernel refers to it, and deleted after that.
const (
	bookGauges   = "wg_book_gauges" // gaugeKey to index into wg_gauges
	bookCounters = "wg_book_pairs"  // pair to index into wg_counters
	bookNames    = "wg_book_names"  // gaugeKey to what it is in the configuration: storedIdentity
	bookPast     = "wg_book_past"   // gaugeKey, or pastTotal, to a sum of the ledger
	bookGone     = "wg_book_gone"   // name of a backend to what servers of it have counted that are forgotten
	bookPrograms = "wg_book_progs"  // interface to the id of the program that was put on it
)

// pastTotal is the key of the ledger's total in bookPast.
var pastTotal = entry{2, 0}

// bookSpecs are the maps of the book, in the order of openBook. sizes are those of the maps that they are about.
func bookSpecs(sizes map[string]*ebpf.MapSpec) []*ebpf.MapSpec {
	hash := func(name string, key, value uintptr, entries uint32) *ebpf.MapSpec {
		return &ebpf.MapSpec{Name: name, Type: ebpf.Hash, KeySize: uint32(key), ValueSize: uint32(value), MaxEntries: entries, Flags: noPrealloc}
	}
	const index = 4
	key, sum, gauges := unsafe.Sizeof(entry{}), unsafe.Sizeof(lbWgCounter{}), sizes[lbMapWgGauges].MaxEntries
	return []*ebpf.MapSpec{
		hash(bookGauges, key, index, gauges),
		hash(bookCounters, key, index, counterMax),
		hash(bookNames, key, unsafe.Sizeof(storedIdentity{}), gauges),
		hash(bookPast, key, sum, gauges+1),
		hash(bookGone, unsafe.Sizeof(storedName{}), sum, gauges),
		hash(bookPrograms, key, index, sizes[lbMapWgIfaces].MaxEntries),
	}
}

// openBook is the book of these maps, which are its own from then on.
func openBook(maps []*ebpf.Map) *book {
	return &book{
		gauges: maps[0], counters: maps[1], names: maps[2], past: maps[3], gone: maps[4], programs: maps[5],
		named: make(map[gaugeKey]storedIdentity), bequests: make(map[storedName]lbWgCounter),
	}
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

// book is the maps of the book; nil where nothing is pinned.
type book struct {
	gauges, counters, names, past, gone, programs *ebpf.Map

	// named is what names holds, bequests what gone does.
	named    map[gaugeKey]storedIdentity
	bequests map[storedName]lbWgCounter
	order    uint64 // of the newest in named
}

func (b *book) close() error {
	if b == nil {
		return nil
	}
	return errors.Join(b.gauges.Close(), b.counters.Close(), b.names.Close(), b.past.Close(), b.gone.Close(), b.programs.Close())
}

// forget drops what there is of a service or server, but for what a server has left to its backend.
func (b *book) forget(key gaugeKey) error {
	if b == nil {
		return nil
	}
	err := errors.Join(ignoreMissing(b.names.Delete(key.entry())), ignoreMissing(b.past.Delete(key.entry())))
	if err == nil {
		delete(b.named, key)
	}
	return err
}

// bequeath adds what a server has counted that is forgotten to what its backend has of such.
func (b *book) bequeath(backend storedName, sum lbWgCounter) error {
	if b == nil || backend == (storedName{}) || sum == (lbWgCounter{}) {
		return nil
	}
	b.bequests[backend] = plus(b.bequests[backend], sum)
	if err := b.gone.Put(backend, b.bequests[backend]); err != nil {
		return fmt.Errorf("note what a server has counted: %w", err)
	}
	return nil
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
	id, err := programID(p)
	if err != nil {
		return fmt.Errorf("note the program: %w", err)
	}
	if err := b.programs.Put(entry{uint32(ifindex)}, uint32(id)); err != nil {
		return fmt.Errorf("note the program: %w", err)
	}
	return nil
}

// programID is what the kernel calls a program.
func programID(p *ebpf.Program) (int, error) {
	info, err := p.Info()
	if err != nil {
		return 0, fmt.Errorf("ask for the program's id: %w", err)
	}
	id, ok := info.ID()
	if !ok {
		return 0, errors.New("the program has no id")
	}
	return int(id), nil
}

// left drops the note, when the program is off the interface.
func (b *book) left(ifindex int) error {
	if b == nil {
		return nil
	}
	return ignoreMissing(b.programs.Delete(entry{uint32(ifindex)}))
}
