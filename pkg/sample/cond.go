package sample

// Cond is what follows `if` or `unless` on a line: terms joined by a silent AND, groups of them by `or`.
// It is immutable and safe for concurrent use.
type Cond struct {
	unless bool
	any    [][]term // an OR of ANDs
}

type term struct {
	negate bool
	acl    *ACL
}

// Eval says whether the condition holds for s. A nil condition always holds. It does not allocate.
func (c *Cond) Eval(s Subject) bool {
	if c == nil {
		return true
	}
	for _, all := range c.any {
		if holds(all, s) {
			return !c.unless
		}
	}
	return c.unless
}

func holds(all []term, s Subject) bool {
	for _, t := range all {
		if t.acl.Match(s) == t.negate {
			return false
		}
	}
	return true
}
