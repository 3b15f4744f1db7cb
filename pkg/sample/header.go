package sample

import "bytes"

// headerWalk is the state of walking over the values of a header.
type headerWalk struct {
	want     Type // what values are offered as
	full     bool // whole lines instead of values between commas
	response bool // headers of the response
	skip     int  // values to pass by before the wanted one; -1: all are wanted
	count    int
	mode     walkMode
	cookie   *args // the cookie that is looked for
	last     []byte
}

// walkMode says what is done with each line of a header.
type walkMode uint8

const (
	walkOffer   walkMode = iota
	walkCount            // values are counted
	walkCookies          // lines are Cookie or Set-Cookie headers
)

// walk makes a fetch that offers the values of a header.
func walk(w headerWalk) func(*evaluator, *args) {
	return func(e *evaluator, a *args) { e.walkHeader(a, w) }
}

// countWalk makes a fetch that counts them.
func countWalk(w headerWalk) func(*evaluator, *args) {
	return func(e *evaluator, a *args) { e.offer(integer(int64(e.countHeader(a.name, w)))) }
}

// lines calls headerLine for each line of a header.
func (e *evaluator) lines(name string, w headerWalk) {
	e.header = w
	if w.response {
		e.subject.ResponseHeaders(name, e.line)
	} else {
		e.subject.Headers(name, e.line)
	}
}

func (e *evaluator) countHeader(name string, w headerWalk) int {
	w.mode = walkCount
	e.lines(name, w)
	return e.header.count
}

// walkHeader offers every value of a header to a condition. Otherwise, and where the arguments ask for
// one occurrence, it offers that, the last unless said.
func (e *evaluator) walkHeader(a *args, w headerWalk) {
	w.skip = -1
	occurrence := a.occurrence
	if occurrence == 0 && !e.iterating() {
		occurrence = -1
	}
	switch {
	case occurrence > 0:
		w.skip = occurrence - 1
	case occurrence < 0:
		if w.skip = e.countHeader(a.name, w) + occurrence; w.skip < 0 {
			return
		}
	}
	e.lines(a.name, w)
}

// headerLine takes one line of the header and says whether it wants more.
func (e *evaluator) headerLine(line []byte) bool {
	switch {
	case e.header.mode == walkCookies:
		return e.cookieLine(line)
	case e.header.full:
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
	if w.mode == walkCount || w.skip >= w.count {
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
