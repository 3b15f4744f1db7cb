package config

// Nearest gives the candidate that got was probably meant to be, or "". The distance is that of
// single-character edits and swaps of neighbours; a third of the length may differ.
func Nearest(got string, candidates []string) string {
	if len(got) > 64 {
		return ""
	}
	best, bestDistance := "", len(got)/3+1
	if bestDistance < 2 {
		bestDistance = 2
	}
	for _, c := range candidates {
		if d := distance(got, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the restricted Damerau-Levenshtein distance in bytes.
func distance(a, b string) int {
	if d := len(a) - len(b); d > 32 || d < -32 {
		return 64
	}
	before, last, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(last[j]+1, cur[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, last, cur = last, cur, before
	}
	return last[len(b)]
}
