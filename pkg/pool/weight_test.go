package pool

import "testing"

// The states are those that HAProxy 2.6 was seen to show: a server without weight is up and counts for nothing.
func TestServersWithoutWeight(t *testing.T) {
	b := newBench(t, BackendOptions{})
	s := b.server(nil)
	b.server(func(o *ServerOptions) { o.Check, o.Weight = false, 0 })
	s.pass(1)
	b.wantStates("10.0.0.1 UP, 10.0.0.2 no check")
	if v := b.View(); !v.Up || v.Active != 1 || v.Weight != 1 {
		t.Errorf("%+v", v)
	}
	b.lines()
	if err := s.SetWeight(0); err != nil {
		t.Fatal(err)
	}
	b.wantStates("10.0.0.1 UP, 10.0.0.2 no check")
	b.wantLines("backend be has no server available!")
	if v := b.View(); v.Up || v.Active != 0 || v.Weight != 0 || v.Downs != 1 {
		t.Errorf("without weight: %+v", v)
	}
	if err := s.SetWeight(3); err != nil {
		t.Fatal(err)
	}
	b.wantLines("backend be has a server available again.")
	if v := b.View(); !v.Up || v.Active != 1 || v.Weight != 3 {
		t.Errorf("with weight again: %+v", v)
	}
}
