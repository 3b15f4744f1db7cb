package cli

import (
	"reflect"
	"strings"
)

//go:generate go run ./internal/manual waggle ../../docs/man/waggle.1

// Entry is a command or a flag, as the manual page shows it.
type Entry struct {
	Name     string // with its dashes
	Arg      string // its value as the help shows it: " FILE" or "=off"; empty for none
	Doc      string
	Examples []string
	Env      string // the environment variable that does the same; empty for none
}

// Reference holds all commands and flags, made from the tables that the command line is read by.
type Reference struct {
	Commands, HAProxyFlags, OwnFlags []Entry
	CheckFields                      []Entry // of what `check --json` prints
}

// NewReference returns the reference of this version.
func NewReference() Reference {
	var r Reference
	for _, c := range commands() {
		r.Commands = append(r.Commands, Entry{Name: c.name, Arg: " " + c.usage, Doc: strings.ReplaceAll(strings.TrimSpace(c.summary+". "+c.about), ". ", ".\n"), Examples: c.examples})
	}
	for _, f := range append(haproxyFlags(), rareFlags()...) {
		r.HAProxyFlags = append(r.HAProxyFlags, Entry{Name: "-" + f.name, Arg: f.arg, Doc: f.doc})
	}
	for _, f := range ownFlags() {
		entry := Entry{Name: "--" + f.name, Arg: f.arg, Doc: f.doc}
		if f.takesValue() {
			entry.Env = f.env()
		}
		r.OwnFlags = append(r.OwnFlags, entry)
	}
	for _, object := range []reflect.Type{reflect.TypeFor[checkReport](), reflect.TypeFor[remark]()} {
		for i := range object.NumField() {
			name, _, _ := strings.Cut(object.Field(i).Tag.Get("json"), ",")
			r.CheckFields = append(r.CheckFields, Entry{Name: name, Doc: object.Field(i).Tag.Get("doc")})
		}
	}
	return r
}

// env is the environment variable of a flag with a value.
func (f oneFlag) env() string {
	return "WAGGLE_" + strings.ToUpper(strings.ReplaceAll(f.name, "-", "_"))
}
