package datapath

import (
	"slices"
	"testing"
)

func TestElementsOfASchedule(t *testing.T) {
	a, b, c, d := slot{1, 2, 4}, slot{5, 6, 4}, slot{8, 9, 11}, slot{1, 2, 0}
	for _, tt := range []struct {
		name string
		schedule
		want [][4]uint16
	}{
		{"none", schedule{algorithm: Source}, [][4]uint16{{0, uint16(Source)}}},
		{"without weights", schedule{RoundRobin, 0, []slot{d}}, [][4]uint16{{1, uint16(RoundRobin)}, {1, 2}}},
		{"even, of one weight", schedule{Random, 3, []slot{a, b}}, [][4]uint16{{2, uint16(Random), 3}, {1, 2, 5, 6}}},
		{"odd, of two weights", schedule{LeastConn, 0, []slot{a, b, a, b, c}},
			[][4]uint16{{5, uint16(LeastConn), 0, 1}, {1, 2, 5, 6}, {1, 2, 5, 6}, {8, 9}, {4, 4, 4, 4}, {11}}},
	} {
		if got := tt.elements(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
