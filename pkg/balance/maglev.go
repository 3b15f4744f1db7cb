package balance

import (
	"cmp"
	"slices"
)

// MaglevSize is the number of slots in a Maglev table. It is prime, so that every step from slot to slot
// reaches all of them, and the same everywhere, so that balancers agree. With n servers of one weight their
// shares differ by at most n/MaglevSize of a share.
const MaglevSize = 16381

// Member is a server in a Maglev table.
type Member struct {
	// Key names the server alike on every balancer: its address, not its slot or name.
	Key string
	// Weight is its share, in proportion to those of others; without one it gets no slot.
	Weight int
}

// Maglev fills a table of MaglevSize slots with indices into members, in proportion to their weights: each
// member goes through all slots in an order of its own, and they take turns in taking the next slot that is
// free (Eisenbud and others, Maglev, NSDI 2016, section 3.4). The table depends on the set of members
// alone, not on their order, and when one leaves few slots but its own change hands. It is nil without a
// member.
func Maglev(members []Member) []int {
	walks, heaviest := newWalks(members)
	if len(walks) == 0 {
		return nil
	}
	table := make([]int, MaglevSize)
	for i := range table {
		table[i] = -1
	}
	for filled := 0; ; {
		for i := range walks {
			w := &walks[i]
			if w.due += w.weight; w.due < heaviest {
				continue
			}
			w.due -= heaviest
			table[w.nextFree(table)] = w.member
			if filled++; filled == MaglevSize {
				return table
			}
		}
	}
}

// walk is a member's way through the slots.
type walk struct {
	member, weight, due int
	at, skip            uint64
	key                 string
}

// newWalks puts the members into an order that does not depend on how they came.
func newWalks(members []Member) (walks []walk, heaviest int) {
	for i, m := range members {
		if m.Weight <= 0 {
			continue
		}
		h := hashKey(m.Key)
		walks = append(walks, walk{
			member: i, weight: m.Weight, key: m.Key,
			at: h % MaglevSize, skip: 1 + mix(h)%(MaglevSize-1),
		})
		heaviest = max(heaviest, m.Weight)
	}
	slices.SortStableFunc(walks, func(a, b walk) int { return cmp.Compare(a.key, b.key) })
	return walks, heaviest
}

// nextFree takes the next slot of the walk that nobody has. There is one.
func (w *walk) nextFree(table []int) uint64 {
	for table[w.at] >= 0 {
		w.at = (w.at + w.skip) % MaglevSize
	}
	return w.at
}

// hashKey is FNV-1a over the key, mixed. It is part of what balancers agree on, so it must never change.
func hashKey(key string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return mix(h)
}

// mix is the finaliser of SplitMix64.
func mix(h uint64) uint64 {
	h += 0x9e3779b97f4a7c15
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}
