package sample

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"

	"waggle/pkg/lab/message"
	"waggle/pkg/lab/require"
)

func sampleRequest() request {
	return request{
		src: netip.MustParseAddrPort("10.1.2.3:40000"), dst: netip.MustParseAddrPort("192.0.2.1:80"),
		method: "GET", uri: "/Shop/cart;v=1?id=7&x=/q", version: "1.1",
		headers: [][2]string{
			{"Host", "www.Example.org:8000"},
			{"X-Forwarded-For", "192.0.2.9, 10.0.0.1"},
			{"x-forwarded-for", "2001:db8::1"},
			{"Content-Length", "12"},
			{"Accept", `text/html;q="a,b", */*`},
		},
		frontend: "fe1",
	}
}

// testEnv has the ACLs that conditions of the tests name.
func testEnv(t testing.TB) Env {
	t.Helper()
	env := Env{References: &References{}, ReadFile: func(name string) ([]byte, error) {
		if name == "nets.lst" {
			return []byte("# nets\n10.0.0.0/8\n\n  192.168.0.0/16 \n"), nil
		}
		if name == "bad.lst" {
			return []byte("10.0.0.0/8\nnonsense\n"), nil
		}
		if name == "words.map" {
			return []byte("# words\na 1\nb x\n"), nil
		}
		return nil, os.ErrNotExist
	}}
	acls := map[string]*ACL{}
	env.ACL = func(name string) *ACL { return acls[name] }
	for _, line := range []string{"shop path_beg /Shop", "either path /nope", "either method GET", "mine src 10.0.0.0/8", "never path /no"} {
		words := strings.Fields(line)
		if acls[words[0]] == nil {
			acls[words[0]] = &ACL{}
		}
		if err := acls[words[0]].Add(words[1:], env); err != nil {
			t.Fatal(err)
		}
	}
	return env
}

func TestConditions(t *testing.T) {
	tests := []struct {
		cond string
		want bool
	}{
		// Combination.
		{"if TRUE", true}, {"unless TRUE", false}, {"if FALSE", false}, {"unless FALSE", true},
		{"if shop", true}, {"if !shop", false}, {"if ! shop", false}, {"if !!shop", true}, {"if ! !shop", true},
		{"if either", true}, {"if never", false}, {"unless never", true},
		{"if shop mine", true}, {"if shop never", false}, {"if never or shop", true}, {"if never || mine shop", true},
		{"if never or shop never", false}, {"if !never { path_beg /Shop }", true}, {"if !{ path_beg /Shop }", false},
		{"if ! { path_beg /x }", true}, {"unless never or shop", false},
		// Path and URL.
		{"if { path /Shop/cart;v=1 }", true}, {"if { path /shop/CART;v=1 }", false}, {"if { path -i /shop/CART;v=1 }", true},
		{"if { path /Shop }", false}, {"if { path /a /b /Shop/cart;v=1 }", true}, {"if { path_beg -i /SHOP }", true},
		{"if { path_end v=1 }", true}, {"if { path_sub /cart }", true}, {"if { path_sub id= }", false},
		{"if { path_reg ^/S[a-z]+/ }", true}, {"if { path_reg -i ^/sHOP }", true}, {"if { path_reg ^/shop }", false},
		{"if { path_dir Shop }", true}, {"if { path_dir /Shop/ }", true}, {"if { path_dir hop }", false}, {"if { path_dir / }", false},
		{"if { path_len 14 }", true}, {"if { path_len gt 13 }", true}, {"if { path_len 15:20 }", false}, {"if { path_len :14 }", true},
		{"if { path -m beg /Shop }", true}, {"if { path -m found }", true}, {"if { path,lower /shop/cart;v=1 }", true},
		{"if { path,upper -m beg /SHOP }", true}, {"if { path,length ge 14 }", true}, {"if { path,length lt 14 }", false},
		{"if { url_beg /Shop/cart;v=1?id }", true}, {"if { url_sub x=/q }", true}, {"if { query id=7&x=/q }", true},
		{"if { base -i www.example.org:8000/shop/cart;v=1 }", true}, {"if { base_dom -i example }", true},
		{"if { pathq -m end /q }", true},
		// Headers.
		{"if { hdr(host) -i www.example.ORG:8000 }", true}, {"if { hdr(host) www.example.org:8000 }", false},
		{"if { hdr_dom(host) -i example.org }", true}, {"if { hdr_dom(host) -i ample.org }", false}, {"if { hdr_beg(Host) www. }", true},
		{"if { hdr(x-forwarded-for) 10.0.0.1 }", true}, {"if { req.fhdr(x-forwarded-for) 10.0.0.1 }", false},
		{"if { hdr(x-forwarded-for,1) 192.0.2.9 }", true}, {"if { hdr(x-forwarded-for,2) 192.0.2.9 }", false},
		{"if { hdr(x-forwarded-for,-1) 2001:db8::1 }", true}, {"if { hdr(x-forwarded-for,-3) 192.0.2.9 }", true}, {"if { hdr(x-forwarded-for,-4) -m found }", false},
		{"if { hdr_ip(x-forwarded-for) 10.0.0.0/8 }", true}, {"if { hdr_ip(x-forwarded-for) 2001:db8::/32 }", true}, {"if { hdr_ip(x-forwarded-for,-1) 10.0.0.0/8 }", false},
		{"if { hdr_cnt(x-forwarded-for) 3 }", true}, {"if { req.fhdr_cnt(x-forwarded-for) eq 2 }", true}, {"if { hdr_cnt(nope) gt 0 }", false},
		{"if { hdr_val(content-length) gt 11 }", true}, {"if { hdr_val(content-length) gt 12 }", false}, {"if { hdr(content-length) -m int 10:20 }", true}, {"if { hdr(host) -m int 1: }", false},
		{"if { hdr(nope) -m found }", false}, {"if !{ hdr(nope) -m found }", true}, {`if { hdr(accept) text/html;q="a,b" }`, true}, {"if { hdr_cnt(accept) 2 }", true},
		// Connection.
		{"if { src 10.0.0.0/8 }", true}, {"if { src 10.1.2.3 }", true}, {"if { src 10.0.0.0/255.0.0.0 }", true}, {"if { src ::1 192.168.0.0/16 }", false},
		{"if { path -m bin 2f53686f702f6974656d 00 }", false}, {"if { str(ab) -m bin 00 6162 }", true}, {"if { str(ab) -m bin 61 }", false},
		{"if { str(a) -M -f words.map }", true}, {"if { str(1) -M -f words.map }", false}, {"if { str(b) -M -f words.map c }", true},
		{"if { src -f nets.lst }", true}, {"if { dst -f nets.lst }", false}, {"if { dst 192.0.2.1 }", true}, {"if { src -n 10.1.2.3 }", true},
		{"if { src_port 40000 }", true}, {"if { dst_port 80:90 }", true}, {"if { dst_port lt 80 }", false}, {"if { dst_port 81 80 }", true}, {"if { dst_port gt 10 lt 5 }", true},
		{"if { fe_name fe1 }", true}, {"if { ssl_fc }", false}, {"if !{ ssl_fc }", true},
		// Patterns of booleans, and of what exists, say nothing.
		{"if { ssl_fc false }", false}, {"if { ssl_fc -m bool 0 }", false}, {"if { always_true false }", true}, {"if { always_true gt 0 }", true}, {"if { path -m found /no }", true},
		{"if { src -m bin 0a010203 }", true}, {"if { dst_port -m bin 0000000000000050 }", true},
		{"if { src -m str 10.1.2.3 }", true}, {"if { dst_port -m str 80 }", true}, {"if { dst_port -m bool true }", true},
		{"if { method GET POST }", true}, {"if { method -m beg P }", false}, {"if METH_GET", true}, {"if METH_POST", false}, {"if HTTP", true}, {"if HTTP_1.1", true}, {"if HTTP_1.0", false},
		{"if LOCALHOST", false}, {"if HTTP_CONTENT", true}, {"if HTTP_URL_SLASH", true}, {"if HTTP_URL_ABS", false}, {"if HTTP_URL_STAR", false},
		{"if { path -- -i }", false}, {"if { path_sub a b c d e f g h i j /cart }", true},
		{"if { path 1 2 3 4 5 6 7 8 9 /Shop/cart;v=1 }", true}, {"if { path -i 1 2 3 4 5 6 7 8 9 /SHOP/cart;v=1 }", true},
	}
	r := sampleRequest()
	env := testEnv(t)
	for _, test := range tests {
		c, err := ParseCond(strings.Fields(test.cond), env)
		if err != nil {
			t.Errorf("%s: %v", test.cond, err)
			continue
		}
		if got := c.Eval(&r); got != test.want {
			t.Errorf("%s = %v, want %v", test.cond, got, test.want)
		}
	}
}

func TestNilConditionHolds(t *testing.T) {
	var c *Cond
	if !c.Eval(&request{}) {
		t.Error("a condition that does not exist must hold everywhere")
	}
}

// A TCP connection has no request: nothing about one holds, and negations do.
func TestConnectionWithoutRequest(t *testing.T) {
	conn := request{src: netip.MustParseAddrPort("[::ffff:127.0.0.1]:9")}
	for cond, want := range map[string]bool{
		"if { path_beg / }": false, "if !{ path_beg / }": true, "if HTTP": false, "if { method GET }": false, "if { base_sub a }": false,
		"if { hdr(host) -m found }": false, "if LOCALHOST": true, "if { dst 0.0.0.0/0 }": false, "if { path_len 0 }": false, "if { hdr_cnt(host) 0 }": true,
	} {
		c, err := ParseCond(strings.Fields(cond), Env{})
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Eval(&conn); got != want {
			t.Errorf("%s = %v, want %v", cond, got, want)
		}
	}
}

func TestConditionErrors(t *testing.T) {
	tests := []struct {
		cond string
		word int
		want string
	}{
		{"", 0, "expects 'if' or 'unless'"},
		{"when shop", 0, "expects 'if' or 'unless'"},
		{"if", 0, "a condition is missing behind 'if'"},
		{"if shop or", 2, "a condition is missing behind 'or'"},
		{"if or shop", 0, "a condition is missing behind 'if'"},
		{"if shop !", 2, "no ACL name behind '!'"},
		{"if ! or shop", 1, "no ACL name behind '!'"},
		{"if shop nosuch", 2, "no such ACL : 'nosuch'"},
		{"if RDP_COOKIE", 1, "predefined ACL 'RDP_COOKIE' is valid HAProxy but not supported by waggle yet"},
		{"if shop { path /a", 2, "missing closing '}' in condition"},
		{"if { }", 2, "missing fetch method in ACL expression"},
		{"if { pth /a }", 2, "unknown fetch method 'pth'"},
		{"if { ssl_fc_npn a }", 2, "fetch method 'ssl_fc_npn' is valid HAProxy but not supported by waggle yet"},
		{"if { sc0_glitch_rate gt 3 }", 2, "fetch method 'sc0_glitch_rate' is valid HAProxy but not supported by waggle yet"},
		{"if { var(txn.x) a }", 2, "'var(txn.x)' can be of any type, so that a match method is needed before its patterns (-m)"},
		{"if { var(x) -m str a }", 2, "invalid variable name 'x': it begins with its scope, 'sess.', 'txn.', 'req.' or 'res.'"},
		{"if { var(proc.x) -m str a }", 2, "variable scope 'proc' is valid HAProxy but not supported by waggle yet"},
		{"if { var(txn.a-b) -m str a }", 2, "invalid variable name 'txn.a-b': character '-' is not permitted"},
		{"if { capture.req.hdr(x) a }", 2, "'x' is not the index of a capture, which fetch method 'capture.req.hdr' expects"},
		{"if { url_param(a,bc) a }", 2, "the delimiter of fetch method 'url_param' is one character, not 'bc'"},
		{"if { int(x) 3 }", 2, "'x' is not what fetch method 'int' expects"},
		{"if { date(0,h) 3 }", 2, "the unit of fetch method 'date' is 's', 'ms' or 'us', not 'h'"},
		{"if { acl(nosuch) }", 2, "no such ACL : 'nosuch'"},
		{"if { path,word(0,/) a }", 2, "unexpected value 0 for the index of converter 'word'"},
		{"if { path,regsub(a,b,x) a }", 2, "unknown flag 'x' of converter 'regsub', expected 'i' or 'g'"},
		{"if { path,regsub((,b) a }", 2, "regex '(' is invalid: missing closing ): `(`"},
		{"if { path,map(gone.map) a }", 2, "failed to open map file 'gone.map': file does not exist"},
		{"if { path,map_str_int(words.map) 3 }", 2, "unable to parse 'x', line 3 of map file 'words.map'"},
		{"if { path,map_ip(words.map) x }", 2, "'a' is not a valid IPv4 or IPv6 address or network, line 2 of map file 'words.map'"},
		{"if { src,ipmask(40) 10.0.0.0 }", 2, "'40' is not a network mask, which converter 'ipmask' expects"},
		{"if { date,ltime(%Q) a }", 2, "conversion '%Q' is valid HAProxy but not supported by waggle yet"},
		{"if { path,add(x) 3 }", 2, "invalid variable name 'x': it begins with its scope, 'sess.', 'txn.', 'req.' or 'res.'"},
		{"if { path,sha2(300) a }", 2, "converter 'sha2' knows 224, 256, 384 and 512 bits, not '300'"},
		{"if { path,json(utf9) a }", 2, "converter 'json' knows 'ascii', 'utf8', 'utf8s', 'utf8p' and 'utf8ps', not 'utf9'"},
		{"if { path, /a }", 2, "missing converter name after a comma"},
		{"if { path,lowr /a }", 2, "unknown converter 'lowr'"},
		{"if { path,word(1) /a }", 2, "converter 'word' expects at least 2 arguments in parentheses"},
		{"if { path,language(x) /a }", 2, "converter 'language' is valid HAProxy but not supported by waggle yet"},
		{"if { path,lower(1) /a }", 2, "converter 'lower' does not support any args"},
		{"if { path(1) /a }", 2, "fetch method 'path' does not support any args"},
		{"if { hdr /a }", 2, "fetch method 'hdr' expects the name of a header in parentheses"},
		{"if { hdr(a /a }", 2, "missing closing ')' in the arguments of fetch method 'hdr'"},
		{"if { hdr('a) /a }", 2, "unmatched quote in the arguments of fetch method 'hdr'"},
		{"if { hdr(a,b) /a }", 2, "bad occurrence 'b' for fetch method 'hdr': a number from -10 on"},
		{"if { hdr(a,1,2) /a }", 2, "too many arguments for fetch method 'hdr': at most 2"},
		{"if { hdr(a)x /a }", 2, "missing comma after fetch keyword 'hdr'"},
		{"if { path -m }", 3, "missing value behind flag '-m'"},
		{"if { path -m begin /a }", 4, "unknown match method 'begin'"},
		{"if { path -m bin 00 0g }", 6, "'0g' is not an even number of hexadecimal digits"},
		{"if { path -u x /a }", 4, "the argument of -u must be a number from 0 on, not 'x'"},
		{"if { path -f nets.lst -M -f nets.lst }", 7, "the file 'nets.lst' is already used as one column file and cannot be used as two column file: maps and 'acl -M' read two columns, 'acl -f' one"},
		{"if { path -u 5 /a } { path -u 5 /b }", 11, "the id is already used"},
		{"if { path -x /a }", 3, "unrecognized flag '-x', '--' is needed before a pattern that begins with '-'"},
		{"if { path,sha1 abc }", 2, "'path,sha1' gives bytes, so that a match method is needed before its patterns: -m bin for hexadecimal digits, -m str for text"},
		{"if { path,bytes(0,1) abc }", 2, "'path,bytes(0,1)' gives bytes, so that a match method is needed before its patterns: -m bin for hexadecimal digits, -m str for text"},
		{"if { path,sha1 -m int 1 }", 2, "match method 'int' does not fit the values of 'path,sha1'"},
		{"if { srv_conn(b/) gt 1 }", 2, "fetch method 'srv_conn' expects the name of a server, with or without its backend's and '/' before it"},
		{"if { payload(0,2) ab0 }", 3, "'ab0' is not an even number of hexadecimal digits"},
		{"if { src -m bool 1 }", 2, "match method 'bool' does not fit the values of 'src'"},
		{"if { src 10.0.0.0/8 10.0.0.300 }", 4, "'10.0.0.300' is not a valid IPv4 or IPv6 address or network"},
		{"if { src 10.0.0.0/33 }", 3, "'10.0.0.0/33' has an invalid network mask"},
		{"if { src 10.0.0.0/255.0.255.0 }", 3, "'10.0.0.0/255.0.255.0' has an invalid network mask"},
		{"if { src example.org }", 3, "'example.org' is not a valid IPv4 or IPv6 address or network"},
		{"if { src -f gone.lst }", 4, "failed to open pattern file 'gone.lst': file does not exist"},
		{"if { src -f bad.lst }", 4, "'nonsense' is not a valid IPv4 or IPv6 address or network, line 2 of pattern file 'bad.lst'"},
		{"if { dst_port eighty }", 3, "'eighty' is not a number or a range of numbers"},
		{"if { dst_port 9:1 }", 3, "the range '9:1' is empty"},
		{"if { dst_port gt }", 3, "missing value behind the operator 'gt'"},
		{"if { dst_port gt 1:2 }", 4, "operator 'gt' needs one number, not the range '1:2'"},
		{"if { path_reg a(b }", 3, "regex 'a(b' is invalid: missing closing ): `a(b`"},
	}
	env := testEnv(t)
	for _, test := range tests {
		_, err := ParseCond(strings.Fields(test.cond), env)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%q: error %v, want %q", test.cond, err, test.want)
			continue
		}
		if e.Text != test.want || e.Word != test.word {
			t.Errorf("%q: word %d: %s\nwant  word %d: %s", test.cond, e.Word, e.Text, test.word, test.want)
		}
		message.Shown(t, test.want)
	}
}

func TestLineWithoutPatternsWarns(t *testing.T) {
	var got []string
	env := Env{Warn: func(word int, text string) { got = append(got, fmt.Sprint(word, " ", text)) }}
	for _, cond := range []string{"if { path_beg }", "if { path_beg -- }", "if { ssl_fc }", "if { path -m found }"} {
		if _, err := ParseCond(strings.Fields(cond), env); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 1 || !strings.HasPrefix(got[0], "2 'path_beg' has no pattern") {
		t.Errorf("warnings %q, want one about path_beg at word 2", got)
	}
}

// HAProxy takes a pattern behind a boolean without a word and does not look at it, so that `ssl_fc false` holds with TLS.
func TestPatternsThatSayNothingWarn(t *testing.T) {
	var got []string
	env := Env{Warn: func(word int, text string) { got = append(got, fmt.Sprint(word, " ", text)) }}
	for _, cond := range []string{"if { ssl_fc }", "if { ssl_fc false }", "if { path -m found x }"} {
		if _, err := ParseCond(strings.Fields(cond), env); err != nil {
			t.Fatal(err)
		}
	}
	if len(got) != 2 || !strings.HasPrefix(got[0], "2 'ssl_fc' is compared by '-m bool', which looks at no pattern") || !strings.HasPrefix(got[1], "2 'path' is compared by '-m found'") {
		t.Errorf("warnings %q", got)
	}
}

func TestEvaluationDoesNotAllocate(t *testing.T) {
	require.NoRace(t, "it counts allocations")
	env := testEnv(t)
	s := newStatic(sampleRequest())
	for _, cond := range []string{
		"if { path -i /my-stats }", "if { path,lower,upper -m beg /SHOP }", "if { hdr(x-forwarded-for) nope }", "if { hdr_ip(x-forwarded-for) ::2 }",
		"if { hdr(host) -m ip 10.0.0.0/8 }", "if { path_reg ^/S[a-z]+/ }", "if shop mine !never", "if { src -m str 10.1.2.3 }", "if { base_sub x }",
		"if { hdr(x-forwarded-for,-1) -m found }", "if { path 1 2 3 4 5 6 7 8 9 10 }",
	} {
		c, err := ParseCond(strings.Fields(cond), env)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(200, func() { c.Eval(s) }); n != 0 {
			t.Errorf("%s allocates %v times", cond, n)
		}
	}
}

func BenchmarkSeedCondition(b *testing.B) {
	c, err := ParseCond(strings.Fields("if { path -i /my-stats }"), Env{})
	if err != nil {
		b.Fatal(err)
	}
	s := newStatic(sampleRequest())
	b.ReportAllocs()
	for b.Loop() {
		c.Eval(s)
	}
}

// A condition is shared by all event loops.
func TestConcurrentEvaluation(t *testing.T) {
	c, err := ParseCond(strings.Fields("if { hdr(x-forwarded-for),upper 2001:DB8::1 } { path,lower -m beg /shop }"), Env{})
	if err != nil {
		t.Fatal(err)
	}
	r := sampleRequest()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				if !c.Eval(&r) {
					t.Error("the condition does not hold")
					return
				}
			}
		})
	}
	wg.Wait()
}
