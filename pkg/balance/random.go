package balance

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"waggle/pkg/pool"
)

// defaultDraws is HAProxy's number of draws for `balance random`: the power of two choices.
const defaultDraws = 2

// Draws returns how many servers `balance random` draws, by the arguments of its line.
func Draws(args []string) (int, error) {
	if len(args) == 0 {
		return defaultDraws, nil
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 {
		return 0, fmt.Errorf("balance random: the number of draws must be at least 1, not %q", args[0])
	}
	return n, nil
}

// random draws servers in proportion to their weights and takes the one with the fewest sessions for
// its weight.
type random struct {
	backend *pool.Backend
	draws   int
}

func newRandom(b *pool.Backend, args []string) (*random, error) {
	draws, err := Draws(args)
	return &random{backend: b, draws: draws}, err
}

func (r *random) Pick(req Request) (pool.Target, bool) {
	targets := r.backend.Snapshot().Targets
	total := 0
	for _, t := range targets {
		total += t.Effective
	}
	if total == 0 {
		return pool.Target{}, false
	}
	best := draw(targets, total)
	for range r.draws - 1 {
		if t := draw(targets, total); lighter(t, best) {
			best = t
		}
	}
	if acquire(best, req.Avoid) {
		return best, true
	}
	for _, t := range targets { // the drawn server is full: any that has room
		if acquire(t, req.Avoid) {
			return t, true
		}
	}
	return lastResort(targets, req.Avoid)
}

func draw(targets []pool.Target, total int) pool.Target {
	n := rand.IntN(total)
	for _, t := range targets {
		if n -= t.Effective; n < 0 {
			return t
		}
	}
	return targets[len(targets)-1]
}

// lighter says whether a has fewer sessions for its weight than b.
func lighter(a, b pool.Target) bool {
	return a.Server.Sessions.Taken()*int64(b.Effective) < b.Server.Sessions.Taken()*int64(a.Effective)
}
