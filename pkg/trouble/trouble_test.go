package trouble

import (
	"errors"
	"testing"
)

func TestOnlyNewsIsNews(t *testing.T) {
	var l Lasting
	full, gone := errors.New("full"), errors.New("gone")
	for i, tt := range []struct {
		err    error
		news   bool
		failed int
	}{
		{nil, false, 0}, {full, true, 1}, {errors.New("full"), false, 2}, {gone, true, 3}, {full, true, 4}, {full, false, 5}, {nil, true, 5}, {nil, false, 0}, {full, true, 1},
	} {
		if news, failed := l.Note(tt.err); news != tt.news || failed != tt.failed || l.Is() != (tt.err != nil) {
			t.Errorf("%d: %v, %d, %v; want %v, %d", i, news, failed, l.Is(), tt.news, tt.failed)
		}
	}
}
