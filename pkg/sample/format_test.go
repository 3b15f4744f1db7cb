package sample

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"waggle/pkg/lab/message"
	"waggle/pkg/lab/require"
)

func mustFormat(t testing.TB, source string, style FormatStyle, env Env) *Format {
	t.Helper()
	f, err := ParseFormat(source, style, true, env)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return f
}

// Lines of the log have a dash for what is absent, and one blank for several.
func TestLogFormat(t *testing.T) {
	r := echoRequest()
	r.status, r.response = 404, [][2]string{{"Server", "s/1"}, {"Set-Cookie", "sid=7; Path=/"}, {"Age", "12"}}
	r.captures = []string{"shown"}
	for source, want := range map[string]string{
		"  a   b  ":                                "a b ",
		"%[var(txn.q)] x":                          "- x",
		"%{+Q}[var(txn.q)]":                        `""`,
		"%{+Q}[path]":                              `"/p/a/b"`,
		"%{+Q}o %[path] %{-Q}[path] %[src]":        `"/p/a/b" /p/a/b "127.0.0.1"`,
		"%{+E}[req.hdr(x,1),concat(])]":            `a\]`,
		"%[status] %[res.hdr(server)]":             "404 s/1",
		"%[res.cook(sid)] %[res.cook_cnt]":         "7 1",
		"%[res.hdr_val(age),add(1)] %[res.hdr(x)]": "13 -",
		"%[capture.req.hdr(0)] %[capture.req.hdr(1)] %[capture.res.hdr(0)]": "shown - -",
		"%[unique-id] %[nbsrv(be1)] %[nbsrv]":                               "id-7 2 -",
		"%[date] %[date(-3600,ms)] %[date(0,us)]":                           "1700000000 1699996400123 1700000000123456",
		"%[acl(TRUE)]%[acl(FALSE)]%[acl(!FALSE,TRUE)]":                      "101",
		"%[env(A)] %[env(B)]":                                               "aa -",
		"%f.%ci":                                                            "f.127.0.0.1",
	} {
		env := Env{Where: AtLog, Getenv: func(n string) (string, bool) { return "aa", n == "A" }}
		f := mustFormat(t, source, LogFormat, env)
		if got := string(f.Append(nil, r, echoVariables{r})); got != want {
			t.Errorf("%s = %q, want %q", source, got, want)
		}
		if f.String() != source {
			t.Errorf("%s is shown as %s", source, f)
		}
	}
}

// What a client sends cannot end a line of a message.
func TestControlBytesAreEncoded(t *testing.T) {
	r := echoRequest()
	r.vars[Request].Set("v", text([]byte("a\r\nb\x7f\x00")))
	f := mustFormat(t, "%[var(req.v)]", MessageFormat, Env{})
	if got := string(f.Append(nil, r, nil)); got != "a%0D%0Ab%7F%00" {
		t.Errorf("%q", got)
	}
}

// Nor can it end a line of the log, whatever a converter makes of it.
func TestNoForgedLogLines(t *testing.T) {
	r := echoRequest()
	r.vars[Request].Set("v", text([]byte("a%0d%0ab%1b\xe2\x82\xac%7f\t")))
	f := mustFormat(t, "%[var(req.v),url_dec] %{+Q,+E}[var(req.v),url_dec]", LogFormat, Env{})
	if got := string(f.Append(nil, r, nil)); got != "a#0D#0Ab#1B\xe2\x82\xac#7F#09 \"a#0D#0Ab#1B\xe2\x82\xac#7F#09\"" {
		t.Errorf("%q", got)
	}
}

func TestFormatErrors(t *testing.T) {
	tests := []struct {
		source string
		where  Where
		http   bool
		want   string
	}{
		{"%zz", AtRequest, true, "no such format variable 'zz': a percent sign is written '%%'"},
		{"50%", AtRequest, true, "no such format variable '': a percent sign is written '%%'"},
		{"%lc", AtLog, true, "format variable '%lc' is valid HAProxy but not supported by waggle yet"},
		{"%ST %HM", AtLog, false, "format variable '%HM' is reserved for HTTP mode"},
		{"%{+Q", AtRequest, true, "missing '}' after the flags of a format variable in '%{+Q'"},
		{"%{+Z}ci", AtRequest, true, "unknown flag '+Z' of a format variable, expected Q, X or E behind + or -"},
		{"%[src", AtRequest, true, "missing ']' after '[src'"},
		{"%[srcc]", AtRequest, true, "failed to parse sample expression 'srcc': unknown fetch method 'srcc'"},
		{"%[path_beg]", AtRequest, true, "failed to parse sample expression 'path_beg': it is the name of an ACL, not of a fetch method"},
		{"%[srv_name]", AtRequest, true, "sample fetch 'srv_name' may not be reliably used here because it needs 'server' which is not available here"},
		{"%[res.hdr(x)]", AtRequest, true, "sample fetch 'res.hdr' may not be reliably used here because it needs 'HTTP response headers' which is not available here"},
		{"%[req.hdr(x)]", AtResponse, true, "sample fetch 'req.hdr' may not be reliably used here because it needs 'HTTP request headers' which is not available here"},
		{"%[method]", AtConnection, true, "sample fetch 'method' may not be reliably used here because it needs 'the HTTP request' which is not available here"},
	}
	for _, test := range tests {
		_, err := ParseFormat(test.source, MessageFormat, test.http, Env{Where: test.where})
		var e *Error
		if !errors.As(err, &e) || e.Text != test.want {
			t.Errorf("%s: %v\nwant %s", test.source, err, test.want)
		}
		message.Shown(t, test.want)
	}
}

func TestFormatFacts(t *testing.T) {
	if text, ok := mustFormat(t, "a %% b", MessageFormat, Env{}).Literal(); !ok || text != "a % b" {
		t.Errorf("%q %v", text, ok)
	}
	if text, ok := mustFormat(t, "", MessageFormat, Env{}).Literal(); !ok || text != "" {
		t.Errorf("%q %v", text, ok)
	}
	f := mustFormat(t, "%ci %[path]", LogFormat, Env{Where: AtLog})
	if _, ok := f.Literal(); ok || !f.NeedsRequest() || !f.NeedsVariables() || !f.Uses(VarClientIP) || f.Uses(VarStatus) {
		t.Error("wrong facts about a format")
	}
	if f := mustFormat(t, "%[src]%[method]", LogFormat, Env{Where: AtLog}); f.NeedsRequest() || f.NeedsVariables() {
		t.Error("needs what it does not use")
	}
}

func TestRandomValues(t *testing.T) {
	r := echoRequest()
	uuid := mustFormat(t, "%[uuid]", MessageFormat, Env{})
	one, two := string(uuid.Append(nil, r, nil)), string(uuid.Append(nil, r, nil))
	shape := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	if one == two || !shape.MatchString(one) || !shape.MatchString(two) {
		t.Errorf("%s %s", one, two)
	}
	dice := mustFormat(t, "%[rand(6)]", MessageFormat, Env{})
	seen := map[string]bool{}
	for range 1000 {
		seen[string(dice.Append(nil, r, nil))] = true
	}
	if len(seen) != 6 || !seen["0"] || !seen["5"] {
		t.Errorf("%v", seen)
	}
}

func TestVariables(t *testing.T) {
	var v Vars
	if _, ok := v.Get("a"); ok {
		t.Error("a variable exists before it is set")
	}
	buf := []byte("one")
	v.Set("a", text(buf))
	copy(buf, "two")
	v.Set("b", integer(3))
	v.Unset("a")
	v.Set("c", text([]byte("see")))
	if x, ok := v.Get("a"); ok {
		t.Errorf("an unset variable is %v", x)
	}
	if x, ok := v.Get("b"); !ok || x.Int != 3 {
		t.Errorf("b is %v %v", x, ok)
	}
	v.Reset()
	if _, ok := v.Get("c"); ok {
		t.Error("a variable survives Reset")
	}
	v.Set("a", text([]byte("one")))
	if x, ok := v.Get("a"); !ok || string(x.Text) != "one" {
		t.Errorf("a is %q %v", x.Text, ok)
	}
	var none *Vars
	none.Set("a", integer(1))
	none.Unset("a")
	if _, ok := none.Get("a"); ok {
		t.Error("no variables have one")
	}
}

// Store keeps a value with its type; without a value the variable stays.
func TestStore(t *testing.T) {
	r := echoRequest()
	for _, word := range []string{"str(12)", "req.hdr(nope)"} {
		x, err := ParseExpr(word, Env{})
		if err != nil {
			t.Fatal(err)
		}
		x.Store(r, VarName{Session, "v"})
	}
	if v, ok := r.vars[Session].Get("v"); !ok || v.Type != String || string(v.Text) != "12" {
		t.Errorf("%v %v", v, ok)
	}
}

// A variable that is set to a part of itself is what was meant, for what follows in the expression, too.
func TestStorePartOfItself(t *testing.T) {
	r := echoRequest()
	r.vars[Transaction].Set("a", text([]byte("abcdef")))
	f := mustFormat(t, "%[var(txn.a),bytes(1),set-var(txn.a)] %[var(txn.a)]", MessageFormat, Env{})
	if got := string(f.Append(nil, r, nil)); got != "bcdef bcdef" {
		t.Errorf("%q", got)
	}
}

// What one request leaves behind for the next one, and what converters make of little, is bounded.
func TestTextsAreBounded(t *testing.T) {
	r := echoRequest()
	for _, word := range []string{"var(sess.v),concat(ab,sess.v)", `var(sess.v),regsub(a,"\0\0\0\0\0\0\0\0",g)`, "var(sess.v),hex"} {
		x, err := ParseExpr(word, Env{})
		if err != nil {
			t.Fatal(err)
		}
		r.vars[Session].Set("v", text([]byte("ab")))
		for range 20 {
			x.Store(r, VarName{Session, "v"})
		}
		if v, _ := r.vars[Session].Get("v"); len(v.Text) != maxText {
			t.Errorf("%s: %d bytes, want %d", word, len(v.Text), maxText)
		}
	}
	var b strings.Builder
	for range 6 {
		b.WriteString(`,regsub(".","\0\0\0\0\0\0\0\0",g)`)
	}
	f := mustFormat(t, "%[path"+b.String()+",length]", MessageFormat, Env{})
	if got := string(f.Append(nil, r, nil)); got != "65535" {
		t.Errorf("%s bytes of a path", got)
	}
	r.vars[Session].Set("v", text(make([]byte, 2*maxText)))
	if v, _ := r.vars[Session].Get("v"); len(v.Text) != maxText {
		t.Errorf("a variable of %d bytes", len(v.Text))
	}
}

func TestFormatsDoNotAllocate(t *testing.T) {
	require.NoRace(t, "it counts allocations")
	s := newStatic(*echoRequest())
	env := Env{ReadFile: readTestdata}
	buf := make([]byte, 0, 4096)
	for _, source := range []string{
		"%[path,lower,field(2,/)]", "%[req.hdr(x)] %[req.cook(a)] %[url_param(q)]", "%[src,ipmask(24)]", "%[str(a),concat(-,txn.a,x),base64]",
		"%[path,map_beg(m.map,d)]", "%[date,http_date]", "%[uuid] %[rand]", "%[path,json,url_enc,url_dec,sha1,hex]", "%[ssl_fc,iif(https,http)]://%[base]",
		"%[str(v),set-var(txn.t)]", "%[req.hdr_cnt(x),add(1)]",
	} {
		f := mustFormat(t, source, LogFormat, env)
		if n := testing.AllocsPerRun(200, func() { buf = f.Append(buf[:0], s, nil) }); n != 0 {
			t.Errorf("%s allocates %v times", source, n)
		}
	}
}

// An ACL that looks at what does not exist yet, or any more, is worth a warning.
func TestACLAtTheWrongMoment(t *testing.T) {
	var got []string
	env := Env{Where: AtResponse, Warn: func(_ int, text string) { got = append(got, text) }}
	for _, cond := range []string{"if { path /a }", "if { status 200 }", "if METH_GET", "if { src 10.0.0.0/8 }"} {
		if _, err := ParseCond(strings.Fields(cond), env); err != nil {
			t.Error(err)
		}
	}
	if len(got) != 1 || !strings.Contains(got[0], "never match") {
		t.Errorf("%q", got)
	}
}

func FuzzFormat(f *testing.F) {
	f.Add("a %[path,regsub(a,b,g)] %{+Q,+E}[req.hdr(x)]%%", "/a?b=c")
	f.Add("%[url_param(b),json(utf8)] %[req.cook(a),url_dec(1)]", "/x?b=%41")
	f.Add("%[query,word(-2,=&,0)]%[path,field(1,/,3)]", "/a//b?x=&&y")
	f.Fuzz(func(t *testing.T, source, uri string) {
		format, err := ParseFormat(source, LogFormat, true, Env{ReadFile: readTestdata})
		if err != nil {
			return
		}
		r := echoRequest()
		r.uri = uri
		_ = format.Append(nil, r, echoVariables{r})
	})
}
