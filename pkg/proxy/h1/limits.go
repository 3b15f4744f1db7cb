package h1

// Limits bound what a head may be. A zero field means its default.
type Limits struct {
	// MaxHead is the most bytes a head may have, first line and empty line included. HAProxy's is
	// tune.bufsize less tune.maxrewrite; default 15360, at most 1 GiB.
	MaxHead int
	// MaxFields is the most field lines, as tune.http.maxhdr; default 101.
	MaxFields int
}

// The defaults of Limits.
const (
	DefaultMaxHead   = 16384 - 1024
	DefaultMaxFields = 101
)

func (l Limits) maxHead() int {
	if l.MaxHead <= 0 {
		return DefaultMaxHead
	}
	return min(l.MaxHead, 1<<30) // offsets have 32 bits
}

func (l Limits) maxFields() int {
	if l.MaxFields <= 0 {
		return DefaultMaxFields
	}
	return l.MaxFields
}
