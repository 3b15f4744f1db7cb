package config

import (
	"fmt"
	"strings"
	"testing"
)

func testVariable(name string) (string, bool) {
	v, ok := map[string]string{
		"HOST": "h1", "LIST": " a  b\tc ", "ONE": "x", "BLANK": "", ".LINE": "7", ".FILE": "f.cfg", ".SECTION": "global",
	}[name]
	return v, ok
}

func TestLexLine(t *testing.T) {
	tests := []struct{ in, want string }{ // want: col:word, between bars
		{"", ""},
		{"   \t ", ""},
		{"# all comment", ""},
		{"a b", "1:a|3:b"},
		{"\t a\tb  c ", "3:a|5:b|8:c"},
		{"a b # c", "1:a|3:b"},
		{"a b#c", "1:a|3:b"},
		{`a \#b`, "1:a|3:#b"},
		{`a b\ c`, "1:a|3:b c"},
		{`a "b c" d`, "1:a|3:b c|9:d"},
		{`a b"c d"e`, "1:a|3:bc de"},
		{`a 'b "c" \n $HOST'`, `1:a|3:b "c" \n $HOST`},
		{`a "it's"`, "1:a|3:it's"},
		{`a "" b`, "1:a|3:|6:b"},
		{`a '' b`, "1:a|3:|6:b"},
		{`a \'b\"`, `1:a|3:'b"`},
		{`a \\ b`, `1:a|3:\|6:b`},
		{`^/a\.b$`, `1:^/a\.b$`},
		{`\n\r\t\x41\x6a`, "1:\n\r\tAj"},
		{`a "x # y"`, "1:a|3:x # y"},
		{`"\$HOST \x24"`, "1:$HOST $"},
		{`$HOST \$HOST`, `1:$HOST|7:\$HOST`},
		{`"$HOST:80"`, "1:h1:80"},
		{`x"${HOST}y"`, "1:xh1y"},
		{`"${HOST-d}" "${NONE-d e}" "${BLANK-d}" "${NONE}"`, "1:h1|13:d e|27:|40:"},
		{`"$NONE-d"`, "1:-d"},
		{`"${LIST[*]}" z`, "1:a|1:b|1:c|14:z"},
		{`p"${LIST[*]}"q`, "1:pa|1:b|1:cq"},
		{`"${BLANK[*]}" z`, "15:z"},
		{`"${NONE[*]-x y}"`, "1:x|1:y"},
		{`"${.LINE} ${.FILE} ${.SECTION}"`, "1:7 f.cfg global"},
		{"a b\rc", "1:a|3:b"},
		{`end\`, `1:end\`},
		{strings.Repeat("w ", maxWords), strings.TrimSuffix(manyWords(maxWords), "|")},
	}
	for _, test := range tests {
		words, err := lexLine(test.in, testVariable)
		if err != nil {
			t.Errorf("%q: %v", test.in, err)
			continue
		}
		var got []string
		for _, w := range words {
			got = append(got, fmt.Sprintf("%d:%s", w.col, w.text))
		}
		if s := strings.Join(got, "|"); s != test.want {
			t.Errorf("%q:\n got %q\nwant %q", test.in, s, test.want)
		}
	}
}

func manyWords(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d:w|", 2*i+1)
	}
	return b.String()
}

func TestLexErrors(t *testing.T) {
	tests := []struct {
		in   string
		col  int
		want string
	}{
		{`a "b`, 3, "unmatched quote"},
		{`a b'c`, 4, "unmatched quote"},
		{`a "b'`, 3, "unmatched quote"},
		{`a \x4`, 3, "truncated or invalid hexadecimal sequence"},
		{`a b\xg0`, 4, "truncated or invalid hexadecimal sequence"},
		{`"$"`, 3, "forbidden first char in environment variable name"},
		{`"${1}"`, 4, "forbidden first char in environment variable name"},
		{`"${.NOPE}"`, 4, "unknown pseudo variable '.NOPE'"},
		{`"${A"`, 3, "unmatched brace in environment variable name"},
		{`"${A B}"`, 3, "unmatched brace in environment variable name"},
		{`"${A-b"`, 3, "unmatched brace in environment variable name"},
		{`"${A[x]}"`, 5, "truncated or invalid word expansion sequence"},
		{"a \x00", 3, "unexpected NUL character"},
		{strings.Repeat("w ", maxWords+1), 2*maxWords + 1, "too many words, the limit is 64"},
		{strings.Repeat("x", maxLine), maxLine, fmt.Sprintf("line too long, limit: %d", maxLine-1)},
	}
	for _, test := range tests {
		_, err := lexLine(test.in, testVariable)
		if err == nil || err.text != test.want || err.col != test.col {
			t.Errorf("%.40q: %+v, want column %d: %s", test.in, err, test.col, test.want)
		}
	}
}

func FuzzLexLine(f *testing.F) {
	for _, s := range []string{`a "b ${LIST[*]}" 'c' \x41 # d`, `"${NONE-x}"`, `\`, `"`, `"${BLANK[*]}"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		words, err := lexLine(in, testVariable)
		if err != nil {
			if err.col < 1 || err.col > len(in)+1 {
				t.Fatalf("error at column %d of %d", err.col, len(in))
			}
			return
		}
		last := 1
		for _, w := range words {
			if w.col < last || w.col > len(in) {
				t.Fatalf("word %q at column %d, after %d, in %d characters", w.text, w.col, last, len(in))
			}
			last = w.col
		}
	})
}
