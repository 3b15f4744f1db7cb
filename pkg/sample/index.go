package sample

import (
	"net/netip"
	"slices"
)

// linearLimit is how many exact strings are compared one by one before a map is faster.
const linearLimit = 8

// index finds the elements of a list that match a value, by one way of comparing. Where the method allows it, a look-up does not
// depend on how many there are: exact texts, beginnings and networks. It is not safe for concurrent use while it changes.
type index struct {
	how   comparison
	n     int
	texts table[string] // exact texts
	begin *beginnings
	nets  table[netip.Prefix]
	bits  [2]counts // of the networks of each family
	list  []listed  // all else, in order
}

// listed is a pattern that has to be tried.
type listed struct {
	pattern
	bytes   []byte // of the text
	element *element
}

func newIndex(how comparison, expected int) *index {
	x := &index{how: how}
	switch {
	case (how.method == matchString || how.method == matchBinary) && expected > linearLimit:
		x.texts.first = make(map[string]*element, expected)
	case how.method == matchBegin && expected > linearLimit:
		x.begin = &beginnings{}
	case how.method == matchAddr:
		x.nets.first = make(map[netip.Prefix]*element, expected)
	}
	return x
}

// add takes an element whose key has been compiled.
func (x *index) add(p pattern, e *element) {
	x.n++
	switch {
	case x.nets.first != nil:
		x.nets.add(p.net, e)
		x.bits[family(p.net.Addr())].add(p.net.Bits())
	case x.texts.first != nil:
		x.texts.add(p.text, e)
	case x.begin != nil:
		x.begin.add(p.text, e)
	default:
		x.list = append(x.list, listed{p, []byte(p.text), e})
	}
}

// remove takes an element out that is in.
func (x *index) remove(e *element) {
	x.n--
	p, _ := x.how.compile(e.key) // it was compiled before
	switch {
	case x.nets.first != nil:
		x.nets.remove(p.net, e)
		x.bits[family(p.net.Addr())].remove(p.net.Bits())
	case x.texts.first != nil:
		x.texts.remove(p.text, e)
	case x.begin != nil:
		x.begin.remove(p.text, e)
	default:
		x.list = slices.DeleteFunc(x.list, func(l listed) bool { return l.element == e })
	}
}

// find gives the element that v, which has the method's type, matches: of networks and beginnings the longest, else the first.
func (x *index) find(e *evaluator, v Value) *element {
	switch x.how.method {
	case matchAddr:
		return x.findAddr(v.Addr)
	case matchBool, matchInt:
		return x.findNumber(v.Int)
	case matchLength:
		return x.findNumber(int64(len(v.Text)))
	case matchRegexp:
		for i := range x.list {
			if x.list[i].regexp.Match(v.Text) {
				return x.list[i].element
			}
		}
		return nil
	}
	b := v.Text
	if x.how.fold && x.how.method != matchBinary {
		b = e.mapText(b, lowerByte)
	}
	return x.findText(b)
}

func (x *index) findAddr(a netip.Addr) *element {
	for _, n := range x.bits[family(a)] {
		prefix, err := a.Prefix(n.size)
		if err != nil {
			continue
		}
		if found := x.nets.first[prefix]; found != nil {
			return found
		}
	}
	return nil
}

func (x *index) findNumber(n int64) *element {
	for i := range x.list {
		if x.list[i].span.has(n) {
			return x.list[i].element
		}
	}
	return nil
}

func (x *index) findText(b []byte) *element {
	switch {
	case x.texts.first != nil:
		return x.texts.first[string(b)]
	case x.begin != nil:
		return x.begin.longest(b)
	}
	var best *listed
	for i := range x.list {
		l := &x.list[i]
		if !x.how.method.compare(b, l.bytes) {
			continue
		}
		if x.how.method != matchBegin {
			return l.element
		}
		if best == nil || len(l.bytes) > len(best.bytes) {
			best = l
		}
	}
	if best == nil {
		return nil
	}
	return best.element
}

func family(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// table has the first of the elements for each key. Further ones, which only count when those before are gone, are rare.
type table[K comparable] struct {
	first map[K]*element // nil: not in use
	more  map[K][]*element
}

func (t *table[K]) add(key K, e *element) {
	if t.first[key] == nil {
		t.first[key] = e
		return
	}
	if t.more == nil {
		t.more = make(map[K][]*element)
	}
	t.more[key] = append(t.more[key], e)
}

func (t *table[K]) remove(key K, e *element) {
	more := t.more[key]
	switch {
	case t.first[key] != e:
		more = slices.DeleteFunc(more, func(other *element) bool { return other == e })
	case len(more) == 0:
		delete(t.first, key)
	default:
		t.first[key], more = more[0], more[1:]
	}
	if len(more) == 0 {
		delete(t.more, key)
	} else {
		t.more[key] = more
	}
}

// counts says how many keys there are of each size, the largest first.
type counts []struct{ size, n int }

func (c *counts) add(size int) {
	i, found := c.place(size)
	if !found {
		*c = slices.Insert(*c, i, struct{ size, n int }{size, 0})
	}
	(*c)[i].n++
}

func (c *counts) remove(size int) {
	i, found := c.place(size)
	if !found {
		return
	}
	if (*c)[i].n--; (*c)[i].n == 0 {
		*c = slices.Delete(*c, i, i+1)
	}
}

func (c *counts) place(size int) (int, bool) {
	return slices.BinarySearchFunc(*c, size, func(one struct{ size, n int }, size int) int { return size - one.size })
}
