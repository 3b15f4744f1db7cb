package drive

import "slices"

// sum adds cells up.
type sum struct {
	exchanges, failed, slow int
	worstMS                 float64
}

func (s *sum) add(c Cell) {
	s.exchanges += c.Exchanges
	s.failed += c.Failed
	s.slow += c.Slow
	s.worstMS = max(s.worstMS, c.MaxMS)
}

func (s *sum) plus(other sum) {
	s.exchanges += other.exchanges
	s.failed += other.failed
	s.slow += other.slow
	s.worstMS = max(s.worstMS, other.worstMS)
}

func laneOf(name string) Lane {
	lanes := Lanes()
	if i := slices.IndexFunc(lanes, func(l Lane) bool { return l.Name == name }); i >= 0 {
		return lanes[i]
	}
	return Lane{}
}

func isGoal(l Lane) bool { return l.Goal }
func isHTTP(l Lane) bool { return l.Goal && l.HTTP }
func isTCP(l Lane) bool  { return l.Goal && !l.HTTP }
func isHeld(l Lane) bool { return !l.Goal }

// total adds up what a contender met in lanes of a kind.
func (r Result) total(contender string, kind func(Lane) bool) (s sum) {
	for _, c := range r.Cells {
		if c.Contender == contender && kind(laneOf(c.Lane)) {
			s.add(c)
		}
	}
	return s
}

func (r Result) late(contender string) Late {
	if i := slices.IndexFunc(r.Late, func(l Late) bool { return l.Contender == contender }); i >= 0 {
		return r.Late[i]
	}
	return Late{}
}

// contenders of a result, in the order of [Contenders].
func (r Result) contenders() []string {
	var names []string
	for _, c := range Contenders() {
		if slices.ContainsFunc(r.Cells, func(cell Cell) bool { return cell.Contender == c.Name }) {
			names = append(names, c.Name)
		}
	}
	return names
}
