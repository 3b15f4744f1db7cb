package config

import "errors"

// EvaluateCondition evaluates what may stand behind `.if`, as -cc of the command line does.
func EvaluateCondition(condition string, opts LoadOptions) (bool, error) {
	p := newParser(opts)
	result := p.holds(condition, "-cc", condition)
	if len(p.errors) > 0 {
		return false, errors.New(p.errors[0].Text)
	}
	return result, nil
}
