package sample

import "testing"

func TestURIParts(t *testing.T) {
	const none = "\x00" // the part does not exist
	tests := []struct{ uri, path, pathq, query string }{
		{"/", "/", "/", none},
		{"/a/b;p=1", "/a/b;p=1", "/a/b;p=1", none},
		{"/a?b?c", "/a", "/a?b?c", "b?c"},
		{"/a?", "/a", "/a?", ""},
		{"http://h", none, none, none},
		{"http://h/", "/", "/", none},
		{"http://h:80/a/b?q", "/a/b", "/a/b?q", "q"},
		{"HTTP://h?q", "", "?q", "q"},
		{"/a://b", "/a://b", "/a://b", none},
		{"*", none, none, none},
		{"host:443", none, none, none},
		{"://x/y", none, none, none},
		{"", none, none, none},
	}
	show := func(b []byte) string {
		if b == nil {
			return none
		}
		return string(b)
	}
	for _, test := range tests {
		uri := []byte(test.uri)
		if got := show(uriPath(uri)); got != test.path {
			t.Errorf("path of %q = %q, want %q", test.uri, got, test.path)
		}
		if got := show(uriPathQuery(uri)); got != test.pathq {
			t.Errorf("pathq of %q = %q, want %q", test.uri, got, test.pathq)
		}
		if got := show(uriQuery(uri)); got != test.query {
			t.Errorf("query of %q = %q, want %q", test.uri, got, test.query)
		}
	}
}

func FuzzCondition(f *testing.F) {
	for _, s := range []string{"{ path -i /a }", "!{ hdr(host,-1),lower -m reg a+ } or TRUE", "{ src 10.0.0.0/8 } { dst_port gt 3 }"} {
		f.Add(s, "/a?b", "x, y")
	}
	f.Fuzz(func(t *testing.T, cond, uri, header string) {
		words := append([]string{"if"}, splitWords(cond)...)
		c, err := ParseCond(words, Env{})
		if err != nil {
			if e := err.(*Error); e.Word < 0 || e.Word > len(words) {
				t.Fatalf("error at word %d of %d", e.Word, len(words))
			}
			return
		}
		c.Eval(&request{method: "GET", uri: uri, version: "1.1", headers: [][2]string{{"host", header}, {"host", uri}}})
	})
}

func splitWords(s string) []string {
	var words []string
	start := 0
	for i := 0; i <= len(s); i++ {
		if i == len(s) || s[i] == ' ' {
			words = append(words, s[start:i])
			start = i + 1
		}
	}
	return words
}
