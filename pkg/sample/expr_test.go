package sample

import (
	"slices"
	"strings"
	"testing"
)

func TestArgumentQuoting(t *testing.T) {
	tests := []struct {
		in   string
		list []string
		rest string
		bad  string
	}{
		{"", nil, "", ""},
		{"()", nil, "", ""},
		{"(a)", []string{"a"}, "", ""},
		{"(a,b),lower", []string{"a", "b"}, ",lower", ""},
		{"(a,)", []string{"a", ""}, "", ""},
		{`("a,b",c)`, []string{"a,b", "c"}, "", ""},
		{`('a)',c)`, []string{"a)", "c"}, "", ""},
		{`(a\,b\)\ \"\n\r\t\q)`, []string{"a,b) \"\n\r\t\\q"}, "", ""},
		{`('a\n')`, []string{`a\n`}, "", ""},
		{"(a", nil, "", "missing closing ')'"},
		{"('a)", nil, "", "unmatched quote"},
	}
	for _, test := range tests {
		list, rest, bad := cutArgs(test.in)
		if !slices.Equal(list, test.list) || rest != test.rest || bad != test.bad {
			t.Errorf("%s: %q %q %q, want %q %q %q", test.in, list, rest, bad, test.list, test.rest, test.bad)
		}
	}
}

func TestConditionIsShownAsWritten(t *testing.T) {
	const text = "unless { path /a } or !TRUE"
	c, err := ParseCond(strings.Fields(text), Env{})
	if err != nil || c.String() != text {
		t.Errorf("%q %v", c, err)
	}
	if none := (*Cond)(nil); none.String() != "" {
		t.Errorf("no condition is shown as %q", none)
	}
}

func TestValidName(t *testing.T) {
	for name, want := range map[string]bool{"a": true, "A-b_c.d:9": true, "": false, "a/b": false, "a b": false, "ä": false} {
		if ValidName(name) != want {
			t.Errorf("ValidName(%q) = %v", name, !want)
		}
	}
}

// Every documented name compiles, and no name is both supported and foreign.
func TestAllNames(t *testing.T) {
	n := AllNames()
	for _, f := range n.Fetches {
		word := f
		word += exampleArgs(mustFetch(t, f).arg)
		if _, err := ParseCond([]string{"if", "{", word, "-m", "found", "}"}, Env{}); err != nil {
			t.Errorf("%s: %v", f, err)
		}
		if slices.Contains(n.ForeignFetches, f) {
			t.Errorf("%s is supported and foreign", f)
		}
	}
	for _, c := range n.Converters {
		word := "var(txn.x)," + c + exampleArgs(converters[c].arg)
		if strings.HasPrefix(c, "map") {
			word = "var(txn.x)," + c + "(map)"
		}
		env := Env{ReadFile: func(string) ([]byte, error) { return nil, nil }}
		if _, err := ParseCond([]string{"if", "{", word, "-m", "found", "}"}, env); err != nil {
			t.Errorf("%s: %v", c, err)
		}
		if slices.Contains(n.ForeignConverters, c) {
			t.Errorf("%s is supported and foreign", c)
		}
	}
	for _, a := range n.Predefined {
		if _, err := ParseCond([]string{"if", a}, Env{}); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	if len(n.Predefined) < 20 || len(n.Suffixed) != len(suffixed) || len(n.Methods) != len(methods) {
		t.Errorf("%+v", n)
	}
}

// exampleArgs are arguments that satisfy a specification.
func exampleArgs(spec argSpec) string {
	if p := (argParser{out: &args{}}); spec.least == 0 && p.parse(spec) == nil {
		return ""
	}
	for _, try := range []string{"x", "1", "true", "1.2.3.4", "txn.x", "1,x", "x,1", "x,txn.x", "TRUE", "1,1"} {
		list := strings.Split(try, ",")
		if len(list) < spec.least {
			continue
		}
		p := argParser{list: list, out: &args{}, named: namedACL}
		if p.parse(spec) == nil {
			return "(" + try + ")"
		}
	}
	return "()"
}

func mustFetch(t *testing.T, name string) *fetch {
	t.Helper()
	f, _, err := findFetch(name, AtRequest)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestHeaderListQuoting(t *testing.T) {
	r := request{headers: [][2]string{{"X", ` a , "b,\"c" ,, d`}, {"x", ""}}}
	for cond, want := range map[string]bool{
		"if { hdr(x) a }": true, `if { hdr(x) "b,\"c" }`: true, "if { hdr(x) d }": true, "if { hdr_cnt(x) 5 }": true, "if { req.fhdr_cnt(x) 2 }": true,
		`if { req.fhdr(x) -m end d }`: true, "if { hdr(x,4) d }": true, "if { hdr(x,-2) d }": true, "if { hdr(x,9) -m found }": false,
	} {
		c, err := ParseCond(strings.Fields(cond), Env{})
		if err != nil {
			t.Fatal(err)
		}
		if c.Eval(&r) != want {
			t.Errorf("%s: %v", cond, !want)
		}
	}
}
