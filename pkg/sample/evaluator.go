package sample

import "sync"

// evaluator is the working memory of one evaluation. Fetches hand it their values one by one; it
// applies the converters and compares. Evaluators are pooled, and the callback that a Subject gets is
// bound once for each, so that an evaluation allocates nothing.
type evaluator struct {
	subject Subject
	expr    *Expr
	pattern *patterns
	matched bool
	scratch []byte // texts made on the way: casts, converters, case folding

	line   func([]byte) bool // e.headerLine, bound once
	header headerWalk
}

// maxScratch is how much scratch memory is kept between evaluations.
const maxScratch = 64 << 10

var evaluators = sync.Pool{New: func() any {
	e := &evaluator{scratch: make([]byte, 0, 512)}
	e.line = e.headerLine
	return e
}}

// run says whether a value that expr has on s matches one of the patterns.
func run(expr *Expr, p *patterns, s Subject) bool {
	e := evaluators.Get().(*evaluator)
	e.subject, e.expr, e.pattern = s, expr, p
	e.matched = false
	e.scratch = e.scratch[:0]
	expr.fetch.do(e, &expr.args)
	matched := e.matched
	e.subject, e.expr, e.pattern = nil, nil, nil
	if cap(e.scratch) <= maxScratch {
		evaluators.Put(e)
	}
	return matched
}

// offer takes one value of the fetch and says whether the fetch should look for more.
func (e *evaluator) offer(v Value) bool {
	for i := range e.expr.converters {
		c := &e.expr.converters[i]
		in, ok := e.cast(v, c.in)
		if !ok {
			return true
		}
		if v, ok = c.do(e, in); !ok {
			return true
		}
	}
	e.matched = e.pattern.match(e, v)
	return !e.matched
}
