package sample

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"waggle/pkg/lab/message"
	"waggle/pkg/lab/require"
)

// mapEnv has a file of words, and what looks at files.
func mapEnv() Env {
	return Env{References: &References{}, File: "h.cfg", Line: 3, ReadFile: func(string) ([]byte, error) {
		return []byte("# c\nk1   v1\nk2 v2 with spaces  \nk1 dup\nnovalue\n"), nil
	}}
}

func mustExpr(t testing.TB, word string, env Env) *Expr {
	t.Helper()
	x, err := ParseExpr(word, env)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func mustCond(t testing.TB, text string, env Env) *Cond {
	t.Helper()
	c, err := ParseCond(strings.Fields(text), env)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shown is a reference as `show map` has it, without numbers.
func shown(r *Reference, version *uint32) string {
	var out []string
	for _, l := range r.Lines(version) {
		out = append(out, strings.TrimSpace(l.Key+" "+l.Value))
	}
	return strings.Join(out, "; ")
}

// All that look at a file see what the Runtime API makes of it; each step is HAProxy 2.6's.
func TestReferenceChanges(t *testing.T) {
	env := mapEnv()
	x := mustExpr(t, "url,map(m.map,none)", env)
	acl := mustCond(t, "if { url -M -f m.map }", env)
	r := env.References.Find("m.map", true)
	s := sampleRequest()
	look := func(key string) string {
		s.uri = key
		out, _ := x.Append(nil, &s)
		return fmt.Sprint(string(out), " ", acl.Eval(&s))
	}
	one, two := uint32(1), uint32(2)
	far := uint32(7)
	for _, step := range []struct {
		do        func() error
		want, err string
		key, sees string
	}{
		{func() error { return nil }, "k1 v1; k2 v2 with spaces; k1 dup; novalue", "", "k1", "v1 true"},
		{func() error { return r.Add(nil, "n", "w") }, "k1 v1; k2 v2 with spaces; k1 dup; novalue; n w", "", "n", "w true"},
		{func() error { return r.Set("n", "x y") }, "k1 v1; k2 v2 with spaces; k1 dup; novalue; n x y", "", "n", "x y true"},
		{func() error { return r.Set("m", "x") }, "k1 v1; k2 v2 with spaces; k1 dup; novalue; n x y", "entry not found.", "m", "none false"},
		{func() error { return r.Delete("#2") }, "k2 v2 with spaces; k1 dup; novalue; n x y", "", "k1", "dup true"},
		{func() error { return r.Set("#3", "z") }, "k2 z; k1 dup; novalue; n x y", "", "k2", "z true"},
		{func() error { return r.Delete("k1") }, "k2 z; novalue; n x y", "", "k1", "none false"},
		{func() error { return r.Delete("k1") }, "k2 z; novalue; n x y", "Key not found.", "novalue", " true"},
		{func() error { return r.Add(&one, "a", "b") }, "k2 z; novalue; n x y", "Version number in the future, please use 'prepare' before.", "a", "none false"},
		{func() error { r.Prepare(); r.Prepare(); return r.Add(&one, "a", "b") }, "k2 z; novalue; n x y", "", "a", "none false"},
		{func() error { return r.Commit(far) }, "k2 z; novalue; n x y", "Version number out of range.", "a", "none false"},
		{func() error { return r.Commit(1) }, "a b", "", "a", "b true"},
		{func() error { return r.Commit(1) }, "a b", "Version number out of range.", "k2", "none false"},
		{func() error { r.Clear(&two); return nil }, "a b", "", "a", "b true"},
		{func() error { return r.Commit(2) }, "", "", "a", "none false"},
		{func() error { return r.Put([]byte("p"), []byte("q")) }, "p q", "", "p", "q true"},
		{func() error { return r.Put([]byte("p"), []byte("r")) }, "p r", "", "p", "r true"},
		{func() error { r.Drop([]byte("p")); return nil }, "", "", "p", "none false"},
		{func() error { return r.Add(nil, "c", "d") }, "c d", "", "c", "d true"},
		{func() error { r.Clear(nil); return nil }, "", "", "c", "none false"},
	} {
		err := ""
		if e := step.do(); e != nil {
			err = e.Error()
		}
		if got := shown(r, nil); got != step.want || err != step.err || look(step.key) != step.sees {
			t.Errorf("%q, error %q, %s gives %q; want %q, error %q, %q", got, err, step.key, look(step.key), step.want, step.err, step.sees)
		}
	}
	for _, shown := range []string{ErrFuture.Error(), ErrOutOfRange.Error(), ErrKeyNotFound.Error(), ErrEntryNotFound.Error()} {
		message.Shown(t, shown)
	}
	if got, want := r.Describe(), "0 (m.map) pattern loaded from file 'm.map' used by map at file 'h.cfg' line 3, by map at file 'h.cfg' line 3. curr_ver=2 next_ver=2 entry_cnt=0"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	} else {
		message.Shown(t, want)
		message.Shown(t, "pattern loaded from file 'm.map' used by map at file 'h.cfg' line 3")
		message.Shown(t, "file 'h.cfg' line 3")
	}
}

// What does not fit a look-up of the file changes nothing.
func TestReferenceKeepsTypes(t *testing.T) {
	env := mapEnv()
	env.ReadFile = func(string) ([]byte, error) { return []byte("10.0.0.0/8 1\n"), nil }
	x := mustExpr(t, "url,map_ip_int(n.map,0)", env)
	r := env.References.Find("n.map", true)
	for _, test := range []struct{ key, value, want string }{
		{"bogus", "1", "'bogus' is not a valid IPv4 or IPv6 address or network"},
		{"10.0.0.1", "one", "unable to parse 'one'"},
		{"10.1.0.0/16", "2", ""},
	} {
		err := r.Add(nil, test.key, test.value)
		if fmt.Sprint(err) != test.want && err != nil || err == nil && test.want != "" {
			t.Errorf("add %s %s: %v, want %q", test.key, test.value, err, test.want)
		}
		_ = r.Put([]byte(test.key), []byte(test.value))
	}
	if err := r.Set("10.0.0.0/8", "x"); fmt.Sprint(err) != "unable to parse 'x'" {
		t.Errorf("set: %v", err)
	}
	if got := shown(r, nil); got != "10.0.0.0/8 1; 10.1.0.0/16 2" {
		t.Errorf("the map holds %q", got)
	}
	s := sampleRequest()
	s.uri = "10.1.2.3"
	if out, _ := x.Append(nil, &s); string(out) != "2" {
		t.Errorf("the longest network is not the one that counts: %q", out)
	}
}

// Patterns on a line can be changed by their number, and -u chooses it.
func TestInlinePatternsChange(t *testing.T) {
	env := mapEnv()
	c := mustCond(t, "if { path -u 5 /a } or { ssl_fc } or { hdr_cnt(nope) gt 3 }", env)
	var list []string
	for _, r := range env.References.List(false) {
		list = append(list, r.Describe())
	}
	want := []string{
		"0 () acl 'ssl_fc' file 'h.cfg' line 3. curr_ver=0 next_ver=0 entry_cnt=0",
		"1 () acl 'hdr_cnt' file 'h.cfg' line 3. curr_ver=0 next_ver=0 entry_cnt=1",
		"5 () acl 'path' file 'h.cfg' line 3. curr_ver=0 next_ver=0 entry_cnt=1",
	}
	if !slices.Equal(list, want) {
		t.Errorf("%q", list)
	}
	if got := shown(env.References.Find("#1", false), nil); got != "4:" {
		t.Errorf("gt 3 is kept as %q", got)
	}
	r := env.References.Find("#5", false)
	s := sampleRequest()
	s.uri = "/b"
	var seen []bool
	see := func() { seen = append(seen, c.Eval(&s)) }
	see()
	for i := range 20 { // beyond what is compared one by one
		_ = r.Add(nil, "/b"+strconv.Itoa(i), "")
	}
	_ = r.Add(nil, "/b", "")
	see()
	_ = r.Delete("/b")
	see()
	if !slices.Equal(seen, []bool{false, true, false}) {
		t.Errorf("%v", seen)
	}
}

// Rules cannot fill the memory; what they forget is room again.
func TestRulesAreBounded(t *testing.T) {
	env := mapEnv()
	mustExpr(t, "url,map(m.map,none)", env)
	r := env.References.Find("m.map", true)
	value := []byte(strings.Repeat("x", 64<<10))
	n := 0
	for ; r.Put([]byte(strconv.Itoa(n)), value) == nil; n++ {
		if n > maxGrown {
			t.Fatal("there is no bound")
		}
	}
	if n < 400 || n > 512 {
		t.Errorf("%d elements of 64 KiB went in", n)
	}
	if err := r.Put([]byte("one more"), value); err == nil || err.Error() != "rules have added as much to the file as they may" {
		t.Errorf("one more: %v", err)
	}
	message.Shown(t, "rules have added as much to the file as they may")
	if err := r.Put([]byte("0"), []byte("y")); err != nil {
		t.Errorf("a shorter value: %v", err)
	}
	if err := r.Put([]byte("new"), value[:1000]); err != nil {
		t.Errorf("after another one became shorter: %v", err)
	}
	r.Drop([]byte("1"))
	if err := r.Put([]byte("newer"), value[:60000]); err != nil {
		t.Errorf("after one was dropped: %v", err)
	}
	if err := r.Add(nil, "operator", "y"); err != nil {
		t.Errorf("the Runtime API is not bounded: %v", err)
	}
	unused := env.References.File("unused.map")
	if err := unused.Put([]byte("a"), []byte("b")); err != nil || len(unused.Lines(nil)) > 0 {
		t.Error("a file that nothing looks at has grown")
	}
}

// TestIndexesAgreeWithTrying has every kind of index find what trying all elements finds, while they come and go.
func TestIndexesAgreeWithTrying(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	word := func() string {
		b := make([]byte, rng.IntN(6))
		for i := range b {
			b[i] = "abA/"[rng.IntN(4)]
		}
		return string(b)
	}
	net := func() string { return fmt.Sprintf("10.%d.%d.0/%d", rng.IntN(2), rng.IntN(4), 8+rng.IntN(17)) }
	for _, test := range []struct {
		how comparison
		key func() string
		in  func() string
	}{
		{comparison{method: matchString}, word, word},
		{comparison{method: matchString, fold: true}, word, word},
		{comparison{method: matchBegin}, word, func() string { return word() + word() }},
		{comparison{method: matchBegin, fold: true}, word, func() string { return word() + word() }},
		{comparison{method: matchEnd}, word, word},
		{comparison{method: matchSub}, word, func() string { return word() + word() }},
		{comparison{method: matchAddr}, net, func() string { return fmt.Sprintf("10.%d.%d.7", rng.IntN(2), rng.IntN(4)) }},
		{comparison{method: matchInt}, func() string { return strconv.Itoa(rng.IntN(9)) }, func() string { return strconv.Itoa(rng.IntN(9)) }},
	} {
		for _, file := range []string{"", "f"} {
			r := newReference(file)
			r.loaded = true
			w, err := r.view(test.how, String, false)
			if err != nil {
				t.Fatal(err)
			}
			e := &evaluator{}
			for range 400 {
				switch key := test.key(); rng.IntN(5) {
				case 0, 1:
					_ = r.Add(nil, key, "")
				case 2:
					_ = r.Delete(key)
				case 3:
					if lines := r.Lines(nil); len(lines) > 0 {
						_ = r.Delete(fmt.Sprintf("#%#x", lines[rng.IntN(len(lines))].ID))
					}
				}
				in := test.in()
				v, _ := e.cast(text([]byte(in)), test.how.method.input())
				e.scratch = e.scratch[:0]
				got := ""
				if found := w.now.Load().find(e, v); found != nil {
					got = fmt.Sprint("found ", found.id)
				}
				if want := tried(r, test.how, e, v); got != want {
					t.Fatalf("%v %q: %q among %q is %q, want %q", test.how, file, in, shown(r, nil), got, want)
				}
				e.scratch = e.scratch[:0]
			}
		}
	}
}

// tried gives what an index should find: the most specific one, or the first.
func tried(r *Reference, how comparison, e *evaluator, v Value) string {
	best, size := "", -1
	for _, l := range r.Lines(nil) {
		x := newIndex(how, 0)
		p, _ := how.compile(l.Key)
		x.add(p, &element{id: l.ID, key: l.Key})
		found := x.find(e, v)
		n := 0
		switch how.method {
		case matchBegin:
			n = len(l.Key)
		case matchAddr:
			n = p.net.Bits()
		}
		if found != nil && n > size {
			best, size = fmt.Sprint("found ", l.ID), n
		}
	}
	return best
}

// Event loops look while rules and operators change.
func TestReferenceIsSharedByLoops(t *testing.T) {
	env := mapEnv()
	x := mustExpr(t, "url,map(m.map,none)", env)
	c := mustCond(t, "if { url -u 1 /a /b }", env)
	r, line := env.References.Find("m.map", true), env.References.Find("#1", false)
	var wg sync.WaitGroup
	for n := range 3 {
		wg.Go(func() {
			s := sampleRequest()
			for i := range 2000 {
				s.uri = "k" + strconv.Itoa(i%10)
				if out, ok := x.Append(nil, &s); !ok || len(out) == 0 {
					t.Error("no value")
					return
				}
				c.Eval(&s)
				_ = r.Put([]byte(s.uri), []byte("v"+strconv.Itoa(n)))
				r.Drop([]byte("k" + strconv.Itoa(i%7)))
			}
		})
	}
	for i := range 200 {
		_ = line.Add(nil, "/c"+strconv.Itoa(i), "")
		at := r.Prepare()
		_ = r.Add(&at, "k1", "prepared")
		_ = r.Commit(at)
		r.Lines(nil)
		r.Look("k1")
		r.Describe()
	}
	wg.Wait()
}

func TestLookingUpDoesNotAllocate(t *testing.T) {
	require.NoRace(t, "it counts allocations")
	env := mapEnv()
	s := newStatic(sampleRequest())
	for _, word := range []string{"url,map(m.map,none)", "url,map_beg(m.map,none)", "url,map_sub(m.map,none)"} {
		x := mustExpr(t, word, env)
		buf := make([]byte, 0, 100)
		if n := testing.AllocsPerRun(200, func() { _, _ = x.Append(buf, s) }); n != 0 {
			t.Errorf("%s allocates %v times", word, n)
		}
	}
}

func BenchmarkMapOfMany(b *testing.B) {
	var file strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&file, "/path/%d value\n", i)
	}
	env := Env{ReadFile: func(string) ([]byte, error) { return []byte(file.String()), nil }}
	for _, word := range []string{"url,map(m.map,none)", "url,map_beg(m.map,none)"} {
		b.Run(word, func(b *testing.B) {
			x := mustExpr(b, word, env)
			r := sampleRequest()
			r.uri = "/path/77777"
			s := newStatic(r)
			buf := make([]byte, 0, 100)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = x.Append(buf, s)
			}
		})
	}
}
