package sample

import "sync"

// evaluator is the working memory of one evaluation. Fetches hand it their values one by one; it
// applies the converters and compares, or keeps the value. Evaluators are pooled, and the callback that
// a Subject gets is bound once for each, so that an evaluation allocates nothing.
type evaluator struct {
	subject Subject
	expr    *Expr
	pattern *patterns // nil: the value is wanted
	matched bool
	value   Value // once found
	found   bool
	unsure  bool   // another value may come, when the client has sent more
	scratch []byte // texts made on the way: casts, converters, case folding

	line   func([]byte) bool // e.headerLine, bound once
	header headerWalk
}

// maxText is where what converters make is cut off, and what variables hold, in bytes: some of them can make much of little, and
// one request can begin where the one before has left off. HAProxy's limit is its buffer.
const maxText = 64<<10 - 1

// maxScratch is how much scratch memory is kept between evaluations.
const maxScratch = 64 << 10

var evaluators = sync.Pool{New: func() any {
	e := &evaluator{scratch: make([]byte, 0, 512)}
	e.line = e.headerLine
	return e
}}

func (x *Expr) evaluator(s Subject, p *patterns) *evaluator {
	e := evaluators.Get().(*evaluator)
	e.subject, e.expr, e.pattern = s, x, p
	e.matched, e.found, e.unsure = false, false, false
	e.scratch = e.scratch[:0]
	if x.fetch.previews() {
		e.preview()
	}
	x.fetch.do(e, &x.args)
	return e
}

func (e *evaluator) release() {
	e.subject, e.expr, e.pattern, e.value = nil, nil, nil, Value{}
	if cap(e.scratch) <= maxScratch {
		evaluators.Put(e)
	}
}

// run says whether a value that expr has on s matches one of the patterns.
func run(expr *Expr, p *patterns, s Subject) bool {
	e := expr.evaluator(s, p)
	matched := e.matched
	e.release()
	return matched
}

// judge is run where the outcome may still change.
func judge(expr *Expr, p *patterns, s Subject) verdict {
	e := expr.evaluator(s, p)
	v := no
	switch {
	case e.matched:
		v = yes
	case e.unsure:
		v = notYet
	}
	e.release()
	return v
}

// Append appends the expression's value on s as text; ok is false where there is none. It does not
// allocate, apart from what regular expressions need.
func (x *Expr) Append(dst []byte, s Subject) (out []byte, ok bool) {
	e := x.evaluator(s, nil)
	if e.found {
		var v Value
		if v, ok = e.cast(e.value, String); ok {
			dst = append(dst, v.Text...)
		}
	}
	e.release()
	return dst, ok
}

// Store sets a variable to the expression's value on s; without a value the variable stays as it is.
func (x *Expr) Store(s Subject, name VarName) {
	e := x.evaluator(s, nil)
	if e.found {
		s.Vars(name.Scope).Set(name.Name, e.value)
	}
	e.release()
}

// Waits says whether the expression has no value on s yet, but may have one later: see [Cond.Judge].
func (x *Expr) Waits(s Subject) bool {
	if x == nil || !x.fetch.login {
		return false
	}
	e := x.evaluator(s, nil)
	waits := e.unsure
	e.release()
	return waits
}

// iterating says whether a fetch goes through all its values, as conditions want, or gives one.
func (e *evaluator) iterating() bool { return e.pattern != nil }

// offer takes one value of the fetch and says whether the fetch should look for more.
func (e *evaluator) offer(v Value) bool {
	for i := range e.expr.converters {
		c := &e.expr.converters[i]
		in, ok := e.cast(v, c.in)
		if !ok {
			return true
		}
		if v, ok = c.do(e, in, &c.args); !ok {
			return true
		}
		if len(v.Text) > maxText {
			v.Text = v.Text[:maxText]
		}
	}
	if e.pattern == nil {
		e.value, e.found = v, true
		return false
	}
	e.matched = e.pattern.match(e, v)
	return !e.matched
}
