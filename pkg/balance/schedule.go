package balance

import "waggle/pkg/pool"

// MaxSchedule is the largest number of slots in a schedule; weights that need more are quantised.
const MaxSchedule = 4096

// Schedule spreads servers over a cycle in proportion to their weights, as evenly as possible: at each
// step every server gains its weight, the one ahead is taken and pays the total (smooth weighted round
// robin). Among equals the first wins, so equal weights give configuration order. The cycle is as short
// as the weights allow (their sum over their greatest common divisor). The result holds indices into
// weights; it is empty if no weight is positive.
//
// When the cycle would be longer than limit, weights are scaled down to fit, each to at least 1; the
// share of a server is then off by less than 1/limit plus the rounding up of the smallest.
func Schedule(weights []int, limit int) []int {
	weights, total := quantise(weights, limit)
	if total == 0 {
		return nil
	}
	slots := make([]int, 0, total)
	ahead := make([]int, len(weights))
	for range total {
		best := -1
		for i, w := range weights {
			if w == 0 {
				continue
			}
			ahead[i] += w
			if best < 0 || ahead[i] > ahead[best] {
				best = i
			}
		}
		ahead[best] -= total
		slots = append(slots, best)
	}
	return slots
}

// quantise divides the weights by their greatest common divisor and scales them until they sum up to
// at most limit.
func quantise(weights []int, limit int) (scaled []int, total int) {
	divisor := 0
	for _, w := range weights {
		divisor = gcd(max(w, 0), divisor)
	}
	if divisor == 0 {
		return weights, 0
	}
	scaled = make([]int, len(weights))
	for i, w := range weights {
		scaled[i] = max(w, 0) / divisor
		total += scaled[i]
	}
	if total <= limit {
		return scaled, total
	}
	full := total
	total = 0
	for i, w := range scaled {
		if w > 0 {
			scaled[i] = max(1, w*limit/full)
		}
		total += scaled[i]
	}
	for total > limit { // rounding up tiny weights overshot: the largest pay for it
		largest := 0
		for i, w := range scaled {
			if w > scaled[largest] {
				largest = i
			}
		}
		if scaled[largest] <= 1 {
			break // more servers than slots
		}
		scaled[largest]--
		total--
	}
	return scaled, total
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// effective lists the weights that dynamic algorithms go by.
func effective(targets []pool.Target) []int {
	w := make([]int, len(targets))
	for i, t := range targets {
		w[i] = t.Effective
	}
	return w
}

// Weights lists the weights of targets as they are set, in their order.
func Weights(targets []pool.Target) []int {
	w := make([]int, len(targets))
	for i, t := range targets {
		w[i] = t.Weight
	}
	return w
}
