package sample

import "bytes"

// headerWalk is the state of walking over the values of a header.
type headerWalk struct {
	want  Type // what values are offered as
	full  bool // whole lines instead of values between commas
	skip  int  // values to pass by before the wanted one; -1: offer all
	count int
	only  bool // count only
}

func fetchHeader(e *evaluator, a *args)     { e.walkHeader(a, headerWalk{want: String}) }
func fetchFullHeader(e *evaluator, a *args) { e.walkHeader(a, headerWalk{want: String, full: true}) }
func fetchHeaderInt(e *evaluator, a *args)  { e.walkHeader(a, headerWalk{want: Int}) }
func fetchHeaderAddr(e *evaluator, a *args) { e.walkHeader(a, headerWalk{want: Addr}) }

func fetchHeaderCount(e *evaluator, a *args) {
	e.offer(integer(int64(e.countHeader(a, false))))
}

func fetchFullHeaderCount(e *evaluator, a *args) {
	e.offer(integer(int64(e.countHeader(a, true))))
}

func (e *evaluator) countHeader(a *args, full bool) int {
	e.header = headerWalk{full: full, only: true}
	e.subject.Headers(a.name, e.line)
	return e.header.count
}

// walkHeader offers every value of a header, or the one occurrence that the arguments ask for.
func (e *evaluator) walkHeader(a *args, w headerWalk) {
	w.skip = -1
	switch {
	case a.occurrence > 0:
		w.skip = a.occurrence - 1
	case a.occurrence < 0:
		if w.skip = e.countHeader(a, w.full) + a.occurrence; w.skip < 0 {
			return
		}
	}
	e.header = w
	e.subject.Headers(a.name, e.line)
}

// headerLine takes one line of the header and says whether it wants more.
func (e *evaluator) headerLine(line []byte) bool {
	if e.header.full {
		return e.headerValue(trim(line))
	}
	for {
		end := valueEnd(line)
		if !e.headerValue(trim(line[:end])) {
			return false
		}
		if end == len(line) {
			return true
		}
		line = line[end+1:]
	}
}

func (e *evaluator) headerValue(b []byte) bool {
	w := &e.header
	w.count++
	if w.only || w.skip >= w.count {
		return true
	}
	one := w.skip >= 0
	v, ok := e.cast(text(b), w.want)
	if !ok {
		return !one
	}
	return e.offer(v) && !one
}

// valueEnd finds the comma that ends the first value of a list; commas inside a quoted string do not
// (RFC 9110 section 5.6.4).
func valueEnd(b []byte) int {
	if bytes.IndexByte(b, ',') < 0 {
		return len(b)
	}
	quoted := false
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '"':
			quoted = !quoted
		case b[i] == '\\' && quoted:
			i++
		case b[i] == ',' && !quoted:
			return i
		}
	}
	return len(b)
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}
