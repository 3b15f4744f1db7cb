package pattern_test

import (
	"bytes"
	"io"
	"testing"
	"testing/iotest"

	"waggle/pkg/lab/pattern"
)

func TestReaderIsTheSameHoweverItIsRead(t *testing.T) {
	const n = 1021 // not a multiple of the word
	whole, err := io.ReadAll(pattern.Reader(n))
	if err != nil {
		t.Fatal(err)
	}
	if len(whole) != n {
		t.Fatalf("got %d bytes, want %d", len(whole), n)
	}
	for name, r := range map[string]io.Reader{
		"bytewise": iotest.OneByteReader(pattern.Reader(n)),
		"halves":   iotest.HalfReader(pattern.Reader(n)),
	} {
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, whole) {
			t.Errorf("%s: differs", name)
		}
	}
	longer, _ := io.ReadAll(pattern.Reader(2 * n))
	if !bytes.HasPrefix(longer, whole) {
		t.Error("a longer pattern does not begin with the shorter one")
	}
}

func TestReaderDoesNotRepeat(t *testing.T) {
	all, _ := io.ReadAll(pattern.Reader(1 << 20))
	seen := make(map[string]int, len(all)/8)
	for i := 0; i+8 <= len(all); i += 8 {
		w := string(all[i : i+8])
		if at, ok := seen[w]; ok {
			t.Fatalf("word at %d is the same as at %d", i, at)
		}
		seen[w] = i
	}
}
