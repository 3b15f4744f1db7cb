package sample

// ACL is a named access list: it holds when one of its lines does.
type ACL struct {
	Name  string
	lines []*test
}

// Match says whether the ACL holds for s. It does not allocate. Safe for concurrent use.
func (a *ACL) Match(s Subject) bool {
	for _, t := range a.lines {
		if t.match(s) {
			return true
		}
	}
	return false
}
