package sample

// converter turns a value into another; false means that there is none.
type converter struct {
	in, out Type
	same    bool // the value keeps its type; out says nothing
	arg     argSpec
	do      func(*evaluator, Value, *args) (Value, bool)
}

// converters has every converter by its name.
var converters = tableOfConverters(textConverters, numberConverters, codeConverters, valueConverters, mapConverters(), stickyConverters())

func tableOfConverters(parts ...map[string]*converter) map[string]*converter {
	all := make(map[string]*converter)
	for _, part := range parts {
		for name, c := range part {
			all[name] = c
		}
	}
	return all
}

// valueConverters work on values of any type, or turn one type into another.
var valueConverters = map[string]*converter{
	"iif":       {in: Bool, out: String, arg: argSpec{2, 2, (*argParser).keepTexts}, do: chooseText},
	"set-var":   {in: Any, same: true, arg: oneVar, do: storeVar},
	"unset-var": {in: Any, same: true, arg: oneVar, do: dropVar},
	"ipmask":    {in: Addr, out: Addr, arg: argSpec{1, 2, parseMasks}, do: maskAddr},
	"http_date": {in: Int, out: String, arg: argSpec{0, 2, parseDate}, do: httpDate},
	"ltime":     {in: Int, out: String, arg: argSpec{1, 2, parseTimeFormat}, do: formatTime(false)},
	"utime":     {in: Int, out: String, arg: argSpec{1, 2, parseTimeFormat}, do: formatTime(true)},
}

// keep copies bytes into the evaluator's memory.
func keep[T string | []byte](e *evaluator, b T) Value {
	start := len(e.scratch)
	e.scratch = append(e.scratch, b...)
	return text(e.scratch[start:])
}

func chooseText(e *evaluator, v Value, a *args) (Value, bool) {
	if v.Int != 0 {
		return keep(e, a.texts[0]), true
	}
	return keep(e, a.texts[1]), true
}

func storeVar(e *evaluator, v Value, a *args) (Value, bool) {
	vars, name := e.subject.Vars(a.vars[0].Scope), a.vars[0].Name
	vars.Set(name, v)
	if kept, ok := vars.Get(name); ok { // v may be a part of what the variable held before, which is overwritten now
		return kept, true
	}
	return v, true
}

func dropVar(e *evaluator, v Value, a *args) (Value, bool) {
	e.subject.Vars(a.vars[0].Scope).Unset(a.vars[0].Name)
	return v, true
}

// parseMasks reads the prefix lengths for IPv4 and, optionally, for IPv6.
func parseMasks(p *argParser) *Error {
	prefix, err := parsePrefix("0.0.0.0/" + p.list[0])
	if err != nil {
		return errorf(0, "'%s' is not a network mask, which %s expects", p.list[0], p.what)
	}
	p.out.nums[0], p.out.nums[1] = int64(prefix.Bits()), -1
	if len(p.list) > 1 {
		if prefix, err = parsePrefix("::/" + p.list[1]); err != nil {
			return errorf(0, "'%s' is not an IPv6 prefix length, which %s expects", p.list[1], p.what)
		}
		p.out.nums[1] = int64(prefix.Bits())
	}
	return nil
}

func maskAddr(_ *evaluator, v Value, a *args) (Value, bool) {
	bits := a.nums[0]
	if !v.Addr.Is4() {
		bits = a.nums[1]
	}
	if bits < 0 {
		return Value{}, false
	}
	prefix, err := v.Addr.Prefix(int(bits))
	return address(prefix.Addr()), err == nil
}
