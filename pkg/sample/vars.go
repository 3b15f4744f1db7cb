package sample

import "strings"

// Scope is how long a variable lives and who sees it.
type Scope uint8

// The scopes: the client's connection, a request with its response, the request while it is handled, and
// the response while it is handled.
const (
	Session Scope = iota
	Transaction
	Request
	Response
	NumScopes = int(iota)
)

var scopes = map[string]Scope{"sess": Session, "txn": Transaction, "req": Request, "res": Response}

// VarName names a variable.
type VarName struct {
	Scope Scope
	Name  string // without its scope
}

// ParseVarName reads `scope.name` (HAProxy configuration manual, set-var).
func ParseVarName(s string) (VarName, *Error) {
	scope, name, ok := strings.Cut(s, ".")
	if !ok || name == "" {
		return VarName{}, errorf(0, "invalid variable name '%s': it begins with its scope, 'sess.', 'txn.', 'req.' or 'res.'", s)
	}
	if scope == "proc" || scope == "check" {
		return VarName{}, unsupported("variable scope", scope)
	}
	sc, ok := scopes[scope]
	if !ok {
		return VarName{}, errorf(0, "invalid variable name '%s': it begins with its scope, 'sess.', 'txn.', 'req.' or 'res.'", s)
	}
	for i := range len(name) {
		c := lowerByte(name[i])
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return VarName{}, errorf(0, "invalid variable name '%s': character '%c' is not permitted", s, name[i])
		}
	}
	return VarName{sc, name}, nil
}

// Vars are the variables of one scope. There are never more than the configuration has names. The zero
// value is empty; it is not safe for concurrent use.
type Vars struct{ list []variable }

type variable struct {
	name  string
	value Value
	text  []byte // the memory of value.Text
}

// keepVarText is how large a text may be that is kept for the next use of its memory.
const keepVarText = 4096

// Reset forgets all variables and keeps the storage.
func (v *Vars) Reset() { v.list = v.list[:0] }

// Empty says that there are no variables.
func (v *Vars) Empty() bool { return len(v.list) == 0 }

// Get gives a variable's value, which is valid until it is set again.
func (v *Vars) Get(name string) (Value, bool) {
	if v == nil {
		return Value{}, false
	}
	for i := range v.list {
		if v.list[i].name == name {
			return v.list[i].value, true
		}
	}
	return Value{}, false
}

// Set gives a variable a value, of which it keeps a copy of as much as 64 KiB. It does nothing on a nil *Vars.
func (v *Vars) Set(name string, value Value) {
	if v == nil {
		return
	}
	value.Text = value.Text[:min(len(value.Text), maxText)]
	x := v.slot(name)
	if cap(x.text) > keepVarText {
		x.text = nil
	}
	x.text = append(x.text[:0], value.Text...)
	x.value = value
	if value.Text != nil {
		x.value.Text = x.text
	}
}

func (v *Vars) slot(name string) *variable {
	for i := range v.list {
		if v.list[i].name == name {
			return &v.list[i]
		}
	}
	if n := len(v.list); n < cap(v.list) {
		v.list = v.list[:n+1] // with the memory of the one that was there
	} else {
		v.list = append(v.list, variable{})
	}
	x := &v.list[len(v.list)-1]
	x.name = name
	return x
}

// Unset forgets a variable.
func (v *Vars) Unset(name string) {
	if v == nil {
		return
	}
	for i := range v.list {
		if v.list[i].name == name {
			last := len(v.list) - 1
			v.list[i], v.list[last] = v.list[last], v.list[i]
			v.list = v.list[:last]
			return
		}
	}
}
