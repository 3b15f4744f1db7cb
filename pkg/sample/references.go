package sample

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// References are all pattern lists of one configuration. They are gathered while it is read; after Number they are safe for
// concurrent use. The zero value has none.
type References struct {
	files map[string]*Reference
	all   []*Reference
	once  sync.Once
}

func newReference(file string) *Reference {
	return &Reference{file: file, versions: map[uint32]*version{0: {}}}
}

// File gives the reference of a file, for rules that change it. It is empty until a condition or converter looks at the file,
// which may come later: without one, what rules do to it has no effect.
func (r *References) File(name string) *Reference {
	if ref := r.files[name]; ref != nil {
		return ref
	}
	if r.files == nil {
		r.files = make(map[string]*Reference)
	}
	ref := newReference(name)
	r.files[name] = ref
	return ref
}

// load gives the reference of a file that a condition or a converter looks at. The first to do so reads it.
func (env *Env) load(name string, pairs, mapped bool) (*Reference, *Error) {
	if env.References == nil {
		env.References = &References{}
	}
	what := columns[pairs]
	if env.ReadFile == nil {
		return nil, errorf(0, "%s file '%s' cannot be read here", what, name)
	}
	r := env.References.File(name)
	if !r.loaded {
		content, err := env.ReadFile(name)
		if err != nil {
			return nil, errorf(0, "failed to open %s file '%s': %s", what, name, err)
		}
		r.pairs = pairs
		r.read(content)
		r.loaded = true
		env.References.all = append(env.References.all, r)
	}
	if r.pairs != pairs {
		is := map[bool]string{false: "one column file", true: "two column file"}
		return nil, errorf(0, "the file '%s' is already used as %s and cannot be used as %s: maps and 'acl -M' read two columns, 'acl -f' one", name, is[!pairs], is[pairs])
	}
	r.acl = r.acl || !mapped
	r.mapped = r.mapped || mapped || pairs
	kind := "acl"
	if pairs {
		kind = "map"
	}
	r.uses = append(r.uses, kind+" at "+env.place())
	return r, nil
}

// place is where the expression stands.
func (env *Env) place() string { return fmt.Sprintf("file '%s' line %d", env.File, env.Line) }

// inline makes the reference of the patterns on a line. id is its number, -1 for any.
func (env *Env) inline(expr string, id int, words []string) (*Reference, *Error) {
	if env.References == nil {
		env.References = &References{}
	}
	name, _ := cutName(expr)
	r := newReference("")
	r.loaded, r.acl = true, true
	r.place = "acl '" + name + "' " + env.place()
	if id >= 0 {
		for _, other := range env.References.all {
			if other.fixed && other.id == id {
				return nil, errorf(0, "the id is already used")
			}
		}
		r.id, r.fixed = id, true
	}
	v := r.versions[0]
	for i, w := range words {
		v.append(&element{id: uint64(i + 1), key: w})
	}
	r.last = uint64(len(words))
	env.References.all = append(env.References.all, r)
	return r, nil
}

// number gives each reference its id, in the order of the configuration, and puts them into the order of their ids.
func (r *References) number() {
	taken := make(map[int]bool)
	for _, ref := range r.all {
		if ref.fixed {
			taken[ref.id] = true
		}
	}
	next := 0
	for _, ref := range r.all {
		if ref.fixed {
			continue
		}
		for taken[next] {
			next++
		}
		ref.id = next
		next++
	}
	slices.SortStableFunc(r.all, func(a, b *Reference) int { return cmp.Compare(a.id, b.id) })
}

// List gives the references that maps look at, or ACLs, in the order of their ids. The configuration has been read.
func (r *References) List(maps bool) []*Reference {
	if r == nil {
		return nil
	}
	r.once.Do(r.number)
	var list []*Reference
	for _, ref := range r.all {
		if maps && ref.mapped || !maps && ref.acl {
			list = append(list, ref)
		}
	}
	return list
}

// Find gives the reference of a file name or "#<id>" that maps look at, or ACLs; nil for none.
func (r *References) Find(name string, maps bool) *Reference {
	number, byID := strings.CutPrefix(name, "#")
	id, err := strconv.Atoi(number)
	for _, ref := range r.List(maps) {
		if byID && err == nil && ref.id == id || ref.file != "" && ref.file == name {
			return ref
		}
	}
	return nil
}

// Describe gives the line that stands for the reference in lists. Its count is HAProxy's: an entry for each way of comparing.
func (r *Reference) Describe() string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	entries := 0
	for _, v := range r.versions {
		entries += v.n * len(r.views)
	}
	return fmt.Sprintf("%d (%s) %s. curr_ver=%d next_ver=%d entry_cnt=%d", r.id, r.file, r.describe(), r.current, r.next, entries)
}

// Pairs says whether the reference has keys with values.
func (r *Reference) Pairs() bool { return r.pairs }
