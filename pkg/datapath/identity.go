package datapath

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"path/filepath"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// storedName is a name as the book has it, with a final zero. Of one that is too long the end is replaced by a digest.
type storedName [128]byte

func storeName(name string) (stored storedName) {
	if len(name) >= len(stored) {
		sum := sha256.Sum256([]byte(name))
		digest := hex.EncodeToString(sum[:8])
		name = name[:len(stored)-1-len(digest)] + digest
	}
	copy(stored[:], name)
	return stored
}

func (n storedName) String() string { return unix.ByteSliceToString(n[:]) }

// storedIdentity is what an id stands for: a server of a backend, or a frontend, which has none. One that was removed, and added
// again before its last flow ended, has two ids; what is there now is the one of the highest order.
type storedIdentity struct {
	Backend, Name storedName
	Order         uint64
}

// name notes what an id stands for from now on; nothing if name is "".
func (b *book) name(key gaugeKey, backend, name string) error {
	if b == nil || name == "" {
		return nil
	}
	is := storedIdentity{Backend: storeName(backend), Name: storeName(name)}
	if was := b.named[key]; was.Backend == is.Backend && was.Name == is.Name {
		return nil
	}
	is.Order = b.order + 1
	if err := b.names.Put(key.entry(), is); err != nil {
		return fmt.Errorf("note the name %s: %w", name, err)
	}
	b.named[key], b.order = is, is.Order
	return nil
}

// backendOf is the backend of a server as it was noted; zero if there is none.
func (b *book) backendOf(key gaugeKey) storedName {
	if b == nil || !key.server {
		return storedName{}
	}
	return b.named[key].Backend
}

// readNames goes on with the names and sums of the process before.
func (b *book) readNames() error {
	names, err := readMap[entry, storedIdentity](b.names)
	if err != nil {
		return err
	}
	for e, is := range names {
		b.named[gaugeKeyOf(e)] = is
		b.order = max(b.order, is.Order)
	}
	b.bequests, err = readMap[storedName, lbWgCounter](b.gone)
	return err
}

// retain drops the names of all backends but these from servers, and what they have been left.
func (b *book) retain(backends []string) error {
	if b == nil {
		return nil
	}
	kept := make(map[storedName]bool)
	for _, name := range backends {
		kept[storeName(name)] = true
	}
	for key, is := range b.named {
		if !key.server || kept[is.Backend] || is.Backend == (storedName{}) {
			continue
		}
		is.Backend = storedName{}
		if err := b.names.Put(key.entry(), is); err != nil {
			return fmt.Errorf("forget the backend of a server: %w", err)
		}
		b.named[key] = is
	}
	for backend := range b.bequests {
		if kept[backend] {
			continue
		}
		if err := ignoreMissing(b.gone.Delete(backend)); err != nil {
			return fmt.Errorf("forget a backend: %w", err)
		}
		delete(b.bequests, backend)
	}
	return nil
}

// RetainBackends has what there is of servers of all backends but these belong to no backend any more, so that another one of
// the same name does not count it as its own. It matters to a later process only, where the kernel path is pinned.
func (dp *Datapath) RetainBackends(names []string) error {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return errClosed
	}
	return dp.book.retain(names)
}

// Bequest is what servers of a backend have counted that are forgotten, those of processes before this one included.
// It is zero where nothing is pinned.
func (dp *Datapath) Bequest(backend string) (c Counts) {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.book != nil {
		c.add(dp.book.bequests[storeName(backend)])
	}
	return c
}

// Identities are the ids that were given to frontends and servers by a process before this one, by their names.
type Identities struct {
	all    map[gaugeKey]storedIdentity
	newest map[nameKey]gaugeKey
}

// nameKey is a storedIdentity without its order.
type nameKey struct {
	server        bool
	backend, name storedName
}

func identitiesOf(all map[gaugeKey]storedIdentity) Identities {
	i := Identities{all: all, newest: make(map[nameKey]gaugeKey, len(all))}
	for key, is := range all {
		name := nameKey{key.server, is.Backend, is.Name}
		if other, ok := i.newest[name]; !ok || i.all[other].Order < is.Order {
			i.newest[name] = key
		}
	}
	return i
}

// Named is an id with the name that it stands for; of a name that is longer than 127 bytes the end is a digest.
type Named struct {
	ID   uint32
	Name string
}

// Service returns the id of a frontend, 0 if it had none.
func (i Identities) Service(frontend string) uint32 {
	return i.newest[nameKey{name: storeName(frontend)}].id
}

// Server returns the id of a server, 0 if it had none.
func (i Identities) Server(backend, server string) uint32 {
	return i.newest[nameKey{true, storeName(backend), storeName(server)}].id
}

// ServersOf returns all ids of servers of a backend whose flows may live on, those included that were removed.
func (i Identities) ServersOf(backend string) (found []Named) {
	of := storeName(backend)
	for key, is := range i.all {
		if key.server && is.Backend == of {
			found = append(found, Named{key.id, is.Name.String()})
		}
	}
	return found
}

// Servers are the ids of all servers, in no order.
func (i Identities) Servers() (ids []uint32) {
	for key := range i.all {
		if key.server {
			ids = append(ids, key.id)
		}
	}
	return ids
}

// Max is the highest id of services and servers; new ones have to be above it, since flows may have it.
func (i Identities) Max() (service, server uint32) {
	for key := range i.all {
		if key.server {
			server = max(server, key.id)
		} else {
			service = max(service, key.id)
		}
	}
	return service, server
}

// Identities returns them as the process before this one has left them. They do not change any more, as those of ReadIdentities do
// while that process still works with its pins.
func (dp *Datapath) Identities() Identities {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.book == nil {
		return Identities{}
	}
	return identitiesOf(maps.Clone(dp.book.named))
}

// ReadIdentities returns what a process before this one has left under the directory of pins, which is nothing if it is
// empty, or of another version: Open removes it then.
func ReadIdentities(pinDir string) (Identities, error) {
	spec, err := specFor(Options{}.withDefaults())
	if err != nil {
		return Identities{}, err
	}
	m, err := ebpf.LoadPinnedMap(filepath.Join(pinDir, layoutOf(spec.Maps, bookSpecs(spec.Maps)), bookNames), &ebpf.LoadPinOptions{ReadOnly: true})
	if err != nil {
		return Identities{}, nil
	}
	defer m.Close()
	names, err := readMap[entry, storedIdentity](m)
	if err != nil {
		return Identities{}, fmt.Errorf("read the names of the kernel path before: %w", err)
	}
	all := make(map[gaugeKey]storedIdentity, len(names))
	for e, is := range names {
		all[gaugeKeyOf(e)] = is
	}
	return identitiesOf(all), nil
}
