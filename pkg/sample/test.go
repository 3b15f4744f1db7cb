package sample

// test is one sample expression with the patterns it is compared with.
type test struct {
	match func(Subject) bool
}
