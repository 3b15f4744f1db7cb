package sample

import "testing"

// Cookies and parameters are taken apart where HAProxy 2.6 was seen to do so.
func TestPartsOfCookiesAndTargets(t *testing.T) {
	for _, row := range []struct{ cookie, uri, want string }{
		{"k=1,S=a", "/", "a 1 1 "},
		{"S=a,k=1", "/", "a 1 a "},
		{`k="x;S=a";z=1`, "/", ` 0 "x;S=a" `},
		{`S="a;b"`, "/", `"a;b" 1 "a;b" `},
		{"$Version=1; S=a", "/", "a 1 a "},
		{"S=", "/", " 0  "},
		{"a=1;S=", "/", " 0 1 "},
		{"S= ; k=1", "/", " 1  "},
		{"S=;S=b", "/", "b 2  "},
		{"k=1;;S=a", "/", "a 1 1 "},
		{"S==a", "/", "=a 1 =a "},
		{"", "/?x=1;a=5&b=2", " 0  5"},
		{"", "/?a=1;b=2", " 0  1"},
		{"", "/p?q?a=1", " 0  1"},
		{"", "/?=a&a=1", " 0  1"},
		{"", "/?a%3d1", " 0  "},
	} {
		r := &request{uri: row.uri}
		if row.cookie != "" {
			r.headers = [][2]string{{"Cookie", row.cookie}}
		}
		f := mustFormat(t, "%[req.cook(S)] %[req.cook_cnt(S)] %[req.cook] %[url_param(a)]", MessageFormat, Env{})
		if got := string(f.Append(nil, r, nil)); got != row.want {
			t.Errorf("%s %s: %q, want %q", row.cookie, row.uri, got, row.want)
		}
	}
}
