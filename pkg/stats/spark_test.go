package stats

import "testing"

func TestSpark(t *testing.T) {
	for _, tt := range []struct {
		values []uint32
		want   string
	}{
		{nil, ""}, {[]uint32{5}, ""}, {[]uint32{0, 0, 0}, ""}, {[]uint32{7, 7}, ""},
		{[]uint32{0, 10}, "46,10 47,0"},
		{[]uint32{10, 5, 5, 5, 5, 0}, "42,0 43,5 46,5 47,10"},
		{[]uint32{1<<32 - 1, 0}, "46,0 47,10"},
	} {
		if got := spark(tt.values); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.values, got, tt.want)
		}
	}
}
