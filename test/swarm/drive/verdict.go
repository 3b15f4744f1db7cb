package drive

import (
	"fmt"
	"slices"
)

// Misses lists what a result holds against the goals: no failed request and no failed new connection through a
// contender that is configured as recommended, and nothing new sent to a task after its SIGTERM.
func Misses(r Result, contenders []Contender) []string {
	if r.Empty {
		return nil
	}
	held := func(name string) bool {
		i := slices.IndexFunc(contenders, func(c Contender) bool { return c.Name == name })
		return i >= 0 && contenders[i].Recommended
	}
	goal := make(map[string]bool)
	for _, l := range Lanes() {
		goal[l.Name] = l.Goal
	}
	var misses []string
	for _, c := range r.Cells {
		if c.Failed > r.cut(c) && goal[c.Lane] && held(c.Contender) {
			misses = append(misses, fmt.Sprintf("%s: %s: %d of %d failed: %v; first: %+v",
				c.Contender, c.Lane, c.Failed, c.Exchanges, c.Reasons, c.Failures))
		}
	}
	for _, l := range r.Late {
		if l.Connections+l.Requests > 0 && held(l.Contender) {
			misses = append(misses, fmt.Sprintf("%s: sent %d connections and %d requests to tasks after their SIGTERM, until %.0f ms after it",
				l.Contender, l.Connections, l.Requests, l.LastMS))
		}
	}
	return misses
}

// cut is how many TCP connections the end of a killed task accounts for: what it holds at that moment ends, and nobody
// but the client can say it again.
func (r Result) cut(c Cell) int {
	if r.Act != killed || laneOf(c.Lane).HTTP {
		return 0
	}
	return c.Reasons["answer: closed"] + c.Reasons["answer: reset"]
}
