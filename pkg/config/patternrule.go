package config

import "strings"

// file reads what stands in parentheses behind the name of an action that changes a file's patterns.
func (r *ruleParser) file(scope string) bool {
	name, closed := strings.CutSuffix(scope, ")")
	if name == "" || !closed {
		r.errorf(0, "%s expects the name of a file in parentheses behind its name", r.what)
		return false
	}
	r.rule.File = r.p.cfg.References.File(name)
	return true
}

// patternKey reads the key that an action is about.
func (r *ruleParser) patternKey() bool {
	if _, ok := r.next("a format for the key"); !ok {
		return false
	}
	key, ok := r.format(r.i-1, r.what, r.set.where())
	r.rule.Key = key
	return ok
}

// patternValue reads a key and the value that it gets.
func (r *ruleParser) patternValue() bool {
	if !r.patternKey() {
		return false
	}
	if _, ok := r.next("a format for the value behind the key"); !ok {
		return false
	}
	value, ok := r.format(r.i-1, r.what, r.set.where())
	r.rule.Format = value
	return ok
}
