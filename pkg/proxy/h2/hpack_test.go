package h2

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// list is what a decoder told of.
type list []hpack.HeaderField

func (l *list) Field(name, value []byte) {
	*l = append(*l, hpack.HeaderField{Name: string(name), Value: string(value)})
}

func (l list) String() string {
	var b strings.Builder
	for _, f := range l {
		fmt.Fprintf(&b, "%q: %q\n", f.Name, f.Value)
	}
	return b.String()
}

func TestHuffman(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 3000 {
		want := make([]byte, r.IntN(60))
		for j := range want {
			want[j] = byte(r.IntN(256))
			if i%2 == 0 {
				want[j] = 'a' + want[j]%26
			}
		}
		got, ok := appendHuffman(nil, hpack.AppendHuffmanString(nil, string(want)))
		if !ok || !bytes.Equal(got, want) {
			t.Fatalf("%q became %q, %v", want, got, ok)
		}
	}
	for name, b := range map[string][]byte{
		"the end of a string is a symbol": {0xff, 0xff, 0xff, 0xff},
		"padding of eight bits":           {0x1f, 0xff},
		"padding that is not ones":        {0x18},
	} {
		if got, ok := appendHuffman(nil, b); ok {
			t.Errorf("%s: taken, as %q", name, got)
		}
	}
}

// Blocks of another encoder, which remembers, forgets and resizes, are read as what they were.
func TestDecodesWhatOthersEncode(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	var dec Decoder
	for i := range 2000 {
		if r.IntN(20) == 0 {
			enc.SetMaxDynamicTableSize([]uint32{0, 64, 100, 1000, 4096}[r.IntN(5)])
		}
		var want list
		b.Reset()
		for range r.IntN(12) {
			f := hpack.HeaderField{Name: fmt.Sprint("name-", r.IntN(40)), Value: strings.Repeat("v", r.IntN(200)), Sensitive: r.IntN(5) == 0}
			switch r.IntN(8) {
			case 0:
				f.Name, f.Value = ":method", "GET"
			case 1:
				f.Name = "cookie"
			case 2:
				f.Value = strings.Repeat("long", 1500)
			}
			if err := enc.WriteField(f); err != nil {
				t.Fatal(err)
			}
			f.Sensitive = false
			want = append(want, f)
		}
		var got list
		if err := dec.Decode(b.Bytes(), &got); err != nil || got.String() != want.String() {
			t.Fatalf("block %d: %v\n%swant\n%s", i, err, got, want)
		}
	}
	if n := cap(dec.table.data); n > 4*TableSize {
		t.Errorf("the table takes %d bytes", n)
	}
	if n := cap(dec.table.entries); n > 8*TableSize/entrySize {
		t.Errorf("the table takes %d entries", n)
	}
}

func TestMalformedBlocks(t *testing.T) {
	for name, b := range map[string][]byte{
		"index 0":                     {0x80},
		"an index beyond the table":   {0xbe},
		"a name beyond the table":     {0x7f, 0x00, 0x01, 'x'},
		"an index without its end":    {0xff},
		"an endless index":            {0xff, 0x80, 0x80, 0x80, 0x80, 0x00},
		"no value":                    {0x00, 0x01, 'x'},
		"a string that ends too soon": {0x00, 0x05, 'x'},
		"a string of no length":       {0x00, 0x7f},
		"bad Huffman code":            {0x00, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00},
		"a table larger than said":    {0x3f, 0xe2, 0x1f},
		"a size behind a field":       {0x82, 0x20},
	} {
		var dec Decoder
		var got list
		if err := dec.Decode(b, &got); err != ErrBlock {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// What we write is read by another decoder, and nothing of it is remembered.
func TestEncodesForOthers(t *testing.T) {
	names := []string{"x", "x-long-" + strings.Repeat("n", 300), "Content-Type", "set-cookie", "ETag"}
	for i := 1; i < len(static); i++ {
		if name := string(static[i].name); name[0] != ':' {
			names = append(names, name)
		}
	}
	dec := hpack.NewDecoder(0, nil)
	for _, name := range names {
		for _, n := range []int{0, 1, 126, 127, 128, 300, 20_000} {
			value := strings.Repeat("v", n)
			got, err := dec.DecodeFull(AppendField(AppendStatus(AppendTableSize(nil), 418), []byte(name), []byte(value)))
			if err != nil || len(got) != 2 || got[0].Value != "418" || got[1].Name != strings.ToLower(name) || got[1].Value != value {
				t.Errorf("%s with %d bytes: %d fields, %v", name, n, len(got), err)
			}
		}
	}
	for status := 100; status < 600; status++ {
		got, err := dec.DecodeFull(AppendStatus(nil, status))
		if err != nil || len(got) != 1 || got[0].Name != ":status" || got[0].Value != fmt.Sprint(status) {
			t.Errorf("%d: %v %v", status, got, err)
		}
	}
}

// A table of its own is what every name of the static one is looked up in.
func TestStaticNames(t *testing.T) {
	for i := 1; i < len(static); i++ {
		f, ok := (&Decoder{}).at(i)
		var want hpack.HeaderField
		d := hpack.NewDecoder(4096, func(f hpack.HeaderField) { want = f })
		if _, err := d.Write([]byte{0x80 | byte(i)}); err != nil || !ok || string(f.name) != want.Name || string(f.value) != want.Value {
			t.Errorf("%d: %q %q, want %v", i, f.name, f.value, want)
		}
		if n := staticName(f.name); n > 0 && string(static[n].name) != string(f.name) {
			t.Errorf("%q is said to be %q", f.name, static[n].name)
		}
	}
}

// Blocks are refused and read as by another decoder, one after the other on one connection.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{0x82, 0x86, 0x84, 0x41, 0x8c, 0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff}, []byte{0x82, 0x86, 0x84, 0xbe})
	f.Add([]byte{0x40, 1, 'a', 1, 'b', 0x20}, []byte{0x20, 0xbe})
	f.Add([]byte("A\x010"), []byte("?00"))
	f.Add([]byte{0x3f, 0x45, 0x40, 30, 'a', 1, 'b'}, []byte{0x7f, 0, 1, 'c', 0xbe, 0xbf})
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var dec Decoder
		other := hpack.NewDecoder(TableSize, nil)
		for _, b := range [][]byte{first, second} {
			var got, want list
			other.SetEmitFunc(func(f hpack.HeaderField) { f.Sensitive = false; want = append(want, f) })
			_, theirs := other.Write(b)
			if theirs == nil {
				theirs = other.Close()
			}
			ours := dec.Decode(b, &got)
			if (ours == nil) != (theirs == nil) && !stricter(b, ours) && !laxer(b, theirs) {
				t.Fatalf("%x: %v, and by the other %v", b, ours, theirs)
			}
			if ours != nil || theirs != nil {
				return
			}
			if got.String() != want.String() {
				t.Fatalf("%x: read as\n%swant\n%s", b, got, want)
			}
		}
	})
}

// stricter says whether the difference is one that is meant: we take no number of more than three further bytes, and no change
// of the table's size behind a field (RFC 7541, section 4.2).
func stricter(b []byte, ours error) bool {
	return ours != nil && (long(b) || slices.ContainsFunc(b, func(c byte) bool { return c&0xe0 == 0x20 }))
}

// laxer says whether it is that a size may change twice in front of the fields (RFC 7541, section 4.2), which the other refuses
// unless its table is empty.
func laxer(b []byte, theirs error) bool {
	return theirs != nil && strings.Contains(theirs.Error(), "size update MUST occur at the beginning") && b[0]&0xe0 == 0x20
}

// long says whether a block may have a number of four bytes or more behind its prefix.
func long(b []byte) bool {
	run := 0
	for _, c := range b {
		if c&0x80 == 0 {
			run = 0
			continue
		}
		if run++; run >= 3 {
			return true
		}
	}
	return false
}

func BenchmarkDecode(b *testing.B) {
	var buf bytes.Buffer
	enc := hpack.NewEncoder(&buf)
	fields := [][2]string{{":method", "GET"}, {":path", "/some/path?with=query"}, {":scheme", "https"}, {":authority", "site.test"},
		{"user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"}, {"accept", "*/*"}, {"accept-encoding", "gzip, deflate, br"}, {"cookie", "a=b"}}
	block := func() []byte {
		buf.Reset()
		for _, f := range fields {
			_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		return bytes.Clone(buf.Bytes())
	}
	var dec Decoder
	var r Request
	out := make([]byte, 0, 16<<10)
	first, later := block(), block()
	r.Begin(out, cap(out), 16<<10)
	if err := dec.Decode(first, &r); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Begin(out, cap(out), 16<<10)
		if err := dec.Decode(later, &r); err != nil {
			b.Fatal(err)
		}
		if _, v := r.Finish(true); v != Fine {
			b.Fatal(v)
		}
	}
}
