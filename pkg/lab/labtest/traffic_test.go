package labtest

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"waggle/pkg/lab/pattern"
)

func TestCompareFindsEveryDifference(t *testing.T) {
	const n = 150_001
	data, err := io.ReadAll(pattern.Reader(n))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(data)
	flipped[n-1] ^= 1
	moved := append(bytes.Clone(data[8:16]), data[8:]...)
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"same", data, ""},
		{"short", data[:n-1], "150000 of 150001 bytes came"},
		{"empty", nil, "0 of 150001"},
		{"long", append(bytes.Clone(data), 'x'), "1 more"},
		{"last bit", flipped, "offset 131072"},
		{"one word twice", moved, "offset 0"},
	} {
		err := compare(bytes.NewReader(c.got), n)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
