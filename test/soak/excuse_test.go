package soak

import (
	"errors"
	"testing"
	"time"
)

// A crowd's connections may fail where the load's may: while a task is killed and just after it, and no longer, and only to that
// task's service.
func TestWhatExcusesAnAct(t *testing.T) {
	began := time.Unix(1000, 0)
	at := func(a act, from, to time.Duration) happened {
		return happened{act: a, began: began.Add(from), end: began.Add(to)}
	}
	kill := at(act{name: "kill", hurts: "tcp"}, 10*time.Second, 11*time.Second)
	flap := at(act{name: "flap", hurts: "all"}, 60*time.Second, 61*time.Second)
	drain := at(act{name: "drain"}, 0, 100*time.Second)
	p := &programme{log: []happened{kill, flap, drain}}
	for _, c := range []struct {
		uses     string
		from, to time.Duration
		want     bool
	}{
		{"tcp", 5 * time.Second, 12 * time.Second, true},
		{"all", 5 * time.Second, 12 * time.Second, true},
		{"http", 5 * time.Second, 12 * time.Second, false},
		{"", 5 * time.Second, 12 * time.Second, false},
		{"tcp", 15 * time.Second, 16 * time.Second, true},
		{"tcp", 17 * time.Second, 18 * time.Second, false},
		{"http", 58 * time.Second, 62 * time.Second, true},
	} {
		h := at(act{name: "crowd", uses: c.uses}, c.from, c.to)
		h.err = errors.New("reset")
		if got := p.excusesAct(&h); got != c.want {
			t.Errorf("traffic of %q from %s to %s: excused %v, want %v", c.uses, c.from, c.to, got, c.want)
		}
	}
}
