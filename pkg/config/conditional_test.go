package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"waggle/pkg/lab/message"
)

// conditionRows are lines of a global section and the notices that come of them, or "line:col error".
var conditionRows = []struct{ lines, want string }{
	{".if defined(A) && streq(\"$A\",x)\n.notice yes\n.else\n.notice no\n.endif", "yes"},
	{".if streq(\"$A\", x)\n.notice yes\n.else\n.notice no\n.endif", "no"}, // the blank counts
	{".if !defined(B)||0\n.notice yes\n.endif", "yes"},
	{".if 1 && (0 || 1)\n.notice yes\n.endif", "yes"},
	{".if !(1 && 1) || !1\n.notice yes\n.else\n.notice no\n.endif", "no"},
	{".if 0\nnonsense\n.elif 1\n.notice e\n.elif 1\n.notice f\n.else\n.notice g\n.endif", "e"},
	{".if\n.notice y\n.else\n.notice n\n.endif", "n"},
	{".if -1\n.notice y\n.endif", "y"},
	{".if 1 # why\n.notice y\n.endif # end", "y"},
	{".if streq('a b',\"a b\")\n.notice y\n.endif", "y"},
	{".if strneq(a,b)\n.notice y\n.endif", "y"},
	{".if version_atleast(2.4-dev3)\n.notice y\n.endif", "y"},
	{".if version_before(2.4)\n.notice y\n.else\n.notice n\n.endif", "n"},
	{".if version_atleast(9.0)\n.notice y\n.elif version_before(9.0.1)\n.notice b\n.endif", "b"},
	{".if feature(EPOLL) && !feature(NOSUCH)\n.notice y\n.endif", "y"},
	{".if 1\n.if 0\n.notice a\n.else\n.notice b\n.endif\n.notice c\n.endif", "b c"},
	{".if 0\n.if 1\n.notice a\n.else\n.notice b\n.endif\n.notice c\n.endif", ""},
	{"setenv V 1\n.if defined(V)\n.notice y\n.endif", "y"},
	{".if foo(1)\n.endif", "2:1 unknown predicate 'foo' used in conditional expression in '.if'"},
	{".if abc\n.endif", "2:1 unparsable conditional expression 'abc' in '.if'"},
	{".if 1", "2:1 non-terminated '.if' block"},
	{".else", "2:1 lone '.else' with no matching '.if'"},
	{" .endif", "2:2 lone '.endif' with no matching '.if'"},
	{".elif 1", "2:1 lone '.elif' with no matching '.if'"},
	{".if 1\n.else\n.else\n.endif", "4:1 '.else' after '.else' is not permitted"},
	{".if 1\n.else\n.elif 1\n.endif", "4:1 '.elif' after '.else' is not permitted"},
	{".if 1 2\n.endif", "2:1 unexpected character '2' at the end of conditional expression '1 2' in '.if'"},
	{".if defined(A\n.endif", "2:1 expected ')' in the arguments of predicate 'defined' used in conditional expression in '.if'"},
	{".if streq(a)\n.endif", "2:1 predicate 'streq' used in conditional expression expects 2 arguments, not 1 in '.if'"},
	{".if (1\n.endif", "2:1 missing closing ')' in conditional expression in '.if'"},
	{".if 1 &&\n.endif", "2:1 unparsable conditional expression '' in '.if'"},
	{".if !\n.endif", "2:1 unparsable conditional expression '' in '.if'"},
	{".if version_atleast(x)\n.endif", "2:1 'x' is not a version such as 2.8 or 3.0.5 in '.if'"}, // which HAProxy takes as any
	{".if 1\n.endif x", "3:1 unexpected argument 'x' for '.endif'"},
	{strings.Repeat(".if 1\n", 33) + strings.Repeat(".endif\n", 33), "34:1 too many nested '.if', at most 32"},
	{".if " + strings.Repeat("(", 40) + "1" + strings.Repeat(")", 40) + "\n.endif", "2:1 too many nested terms in conditional expression in '.if'"},
}

func TestConditionalBlocks(t *testing.T) {
	for _, row := range conditionRows {
		text := "global\n" + row.lines + "\n"
		opts := pure(nil)
		opts.Getenv = func(name string) (string, bool) { return "x", name == "A" }
		_, remarks, err := Parse("t.cfg", []byte(text), opts)
		var got []string
		for _, d := range remarks {
			got = append(got, d.Text)
		}
		var bad *Errors
		if errors.As(err, &bad) {
			got = nil
			for _, d := range bad.List {
				got = append(got, fmt.Sprintf("%d:%d %s", d.Pos.Line, d.Pos.Col, d.Text))
			}
		}
		if s := strings.Join(got, " "); s != row.want {
			t.Errorf("%s\n got %s\nwant %s", row.lines, s, row.want)
		}
		message.Shown(t, row.want)
	}
}

// What we read HAProxy reads as well, and says the same; what we refuse it refuses.
func TestConditionalBlocksAsHAProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("starts HAProxy for each of its rows")
	}
	t.Setenv("A", "x")
	for _, row := range conditionRows {
		failing := strings.Contains(row.want, ":")
		out, _ := haproxyAccepts(t, "global\n"+row.lines+"\ndefaults\n mode http\nlisten l\n bind :1\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n")
		refused := strings.Contains(out, "[ALERT]")
		if refused != failing && !strings.Contains(row.want, "too many nested") && !strings.Contains(row.want, "is not a version") {
			t.Errorf("%s\nwe say %q, HAProxy %s", row.lines, row.want, out)
		}
		for word := range strings.FieldsSeq(row.want) {
			if !failing && !strings.Contains(out, "'"+word+"'") {
				t.Errorf("%s\nwe say %q, HAProxy %s", row.lines, word, out)
			}
		}
	}
}

func TestProvidedVariables(t *testing.T) {
	cfg, _, err := Parse("t.cfg", []byte("frontend f\n mode http\n bind :1\n timeout client 1s\n description \"$HAPROXY_BRANCH:$HAPROXY_CFGFILES\"\n log-format \"$HAPROXY_HTTP_LOG_FMT %ID\"\n"), pure(nil))
	if err != nil {
		t.Fatal(err)
	}
	p := cfg.Proxies[0]
	if p.Description != "3.2:t.cfg" || !strings.HasSuffix(p.LogFormat.String(), "%{+Q}r %ID") {
		t.Errorf("%q %q", p.Description, p.LogFormat)
	}
}
