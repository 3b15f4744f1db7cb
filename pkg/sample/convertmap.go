package sample

import (
	"bytes"
	"slices"
	"strings"
)

// mapping looks texts and addresses up in a file of keys and values.
type mapping struct {
	method   method
	exact    map[string]Value
	list     []mapEntry // the first that matches counts
	fallback Value
	has      bool // a fallback
	expand   bool // values are templates for what a regular expression matched
}

// mapEntry is one line of a file that cannot be looked up at once.
type mapEntry struct {
	pattern patterns
	key     []byte
	value   Value
}

// mapConverters are `map` and its kin: map_METHOD and map_METHOD_TYPE.
func mapConverters() map[string]*converter {
	all := make(map[string]*converter)
	for _, name := range []string{"str", "beg", "end", "sub", "dir", "dom", "reg", "int", "ip", "regm"} {
		m := methods[name]
		if name == "regm" {
			m = matchRegexp
		}
		for suffix, out := range map[string]Type{"": String, "_str": String, "_int": Int, "_ip": Addr} {
			if name == "regm" && suffix != "" {
				continue
			}
			c := &converter{in: m.input(), out: out, arg: argSpec{1, 2, parseMap(m, out, name == "regm")}, do: lookUp}
			all["map_"+name+suffix] = c
			if name == "str" && suffix == "" {
				all["map"] = c
			}
		}
	}
	return all
}

// parseMap reads `file[,fallback]`.
func parseMap(m method, out Type, expand bool) func(*argParser) *Error {
	return func(p *argParser) *Error {
		t := &mapping{method: m, expand: expand}
		if m == matchString {
			t.exact = make(map[string]Value)
		}
		if len(p.list) > 1 {
			v, ok := mapValue(p.list[1], out)
			if !ok {
				return errorf(0, "the default value '%s' of %s has another type", p.list[1], p.what)
			}
			t.fallback, t.has = v, true
		}
		if p.env.ReadFile == nil {
			return errorf(0, "map file '%s' cannot be read here", p.list[0])
		}
		content, err := p.env.ReadFile(p.list[0])
		if err != nil {
			return errorf(0, "failed to open map file '%s': %s", p.list[0], err)
		}
		p.out.table = t
		return t.load(p.list[0], content, out)
	}
}

func mapValue(s string, out Type) (Value, bool) {
	switch out {
	case Int:
		return readInt(s)
	case Addr:
		return readAddr(s)
	}
	return readText(s)
}

// load reads lines of a key, blanks and a value that goes on to the end of the line.
func (t *mapping) load(name string, content []byte, out Type) *Error {
	for n, line := range bytes.Split(content, []byte("\n")) {
		l := strings.TrimSpace(string(line))
		if l == "" || l[0] == '#' {
			continue
		}
		key, rest := l, ""
		if i := strings.IndexAny(l, " \t"); i >= 0 {
			key, rest = l[:i], strings.TrimSpace(l[i:])
		}
		v, ok := mapValue(rest, out)
		if !ok {
			return errorf(0, "'%s' has another type than the map, line %d of map file '%s'", rest, n+1, name)
		}
		if err := t.add(key, v); err != nil {
			return errorf(0, "%s, line %d of map file '%s'", err.Text, n+1, name)
		}
	}
	if t.method == matchAddr || t.method == matchBegin {
		t.longestFirst()
	}
	return nil
}

func (t *mapping) add(key string, v Value) *Error {
	if t.exact != nil {
		if _, ok := t.exact[key]; !ok {
			t.exact[key] = v
		}
		return nil
	}
	entry := mapEntry{pattern: patterns{method: t.method}, key: []byte(key), value: v}
	if err := entry.pattern.add(key, ""); err != nil {
		return err
	}
	t.list = append(t.list, entry)
	return nil
}

// lookUp finds the value of a key.
func lookUp(e *evaluator, v Value, a *args) (Value, bool) {
	t := a.table
	if t.exact != nil {
		if found, ok := t.exact[string(v.Text)]; ok {
			return found, true
		}
		return t.fallback, t.has
	}
	for i := range t.list {
		entry := &t.list[i]
		if !entry.pattern.match(e, v) {
			continue
		}
		if t.expand {
			return e.expandMatch(entry, v.Text), true
		}
		return entry.value, true
	}
	return t.fallback, t.has
}

func (e *evaluator) expandMatch(entry *mapEntry, b []byte) Value {
	start := len(e.scratch)
	m := entry.pattern.regexps[0].FindSubmatchIndex(b)
	e.scratch = appendExpanded(e.scratch, b, m, string(entry.value.Text))
	return text(e.scratch[start:])
}

// longestFirst orders the list so that the most specific entry matches first, and of equal ones the first
// in the file.
func (t *mapping) longestFirst() {
	size := func(m *mapEntry) int {
		if t.method == matchAddr {
			return m.pattern.prefixes[0].Bits()
		}
		return len(m.key)
	}
	slices.SortStableFunc(t.list, func(a, b mapEntry) int { return size(&b) - size(&a) })
}
