package sample

import "strconv"

// mapping looks texts and addresses up in a file of keys and values.
type mapping struct {
	view     *view
	fallback Value
	has      bool // a fallback
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
		t := &mapping{}
		if len(p.list) > 1 {
			v, ok := mapValue(p.list[1], out)
			if !ok {
				return errorf(0, "the default value '%s' of %s has another type", p.list[1], p.what)
			}
			t.fallback, t.has = v, true
		}
		r, err := p.env.load(p.list[0], true, true)
		if err != nil {
			return err
		}
		if t.view, err = r.view(comparison{method: m}, out, true); err != nil {
			return err
		}
		t.view.expands = expand
		p.out.table = t
		return nil
	}
}

func mapValue(s string, out Type) (Value, bool) {
	switch out {
	case Int:
		n, err := strconv.ParseInt(s, 10, 64)
		return integer(n), err == nil || s == "" // of a rule; HAProxy takes it for 0
	case Addr:
		return readAddr(s)
	}
	return readText(s)
}

// lookUp finds the value of a key.
func lookUp(e *evaluator, v Value, a *args) (Value, bool) {
	if found, ok := a.table.view.find(e, v); ok {
		return found, true
	}
	return a.table.fallback, a.table.has
}

// expandMatch makes the value of the first regular expression that matches b.
func (e *evaluator) expandMatch(x *index, b []byte) (Value, bool) {
	for i := range x.list {
		l := &x.list[i]
		if m := l.regexp.FindSubmatchIndex(b); m != nil {
			start := len(e.scratch)
			e.scratch = appendExpanded(e.scratch, b, m, string(l.element.value))
			return text(e.scratch[start:]), true
		}
	}
	return Value{}, false
}
