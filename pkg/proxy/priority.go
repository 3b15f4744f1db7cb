package proxy

import (
	"strconv"
	"time"

	"waggle/pkg/sample"
)

// The bounds of what rules may set, beyond which values are cut (HAProxy, section 4.2, set-priority-class and set-priority-offset).
const (
	maxClass  = 2047
	maxOffset = 524287 // milliseconds
)

// setPriorityClass has a rule's say about the class in which the request waits. What is no number changes nothing.
func (s *session) setPriorityClass(x *sample.Expr) {
	if n, ok := s.integer(x); ok {
		s.priority.Class = int(max(-maxClass, min(n, maxClass)))
	}
}

// setPriorityOffset is the same for the time that counts there.
func (s *session) setPriorityOffset(x *sample.Expr) {
	if n, ok := s.integer(x); ok {
		s.priority.Offset = time.Duration(max(-maxOffset, min(n, maxOffset))) * time.Millisecond
	}
}

// integer is the value of an expression as a number; ok is false if it is none.
func (s *session) integer(x *sample.Expr) (n int64, ok bool) {
	s.w.text, ok = x.Append(s.w.text[:0], (*subject)(s))
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(string(s.w.text), 10, 64)
	return n, err == nil
}

// Priority is for the fetches of it.
func (s *subject) Priority() (class, offset int64) {
	return int64(s.priority.Class), s.priority.Offset.Milliseconds()
}
