package proxy

import (
	"testing"
	"time"
)

// What a client may do for nothing is reckoned by the clock.
func TestCalm(t *testing.T) {
	var c calm
	c.begin(0)
	for i := range idleBurst {
		if wait := c.idle(0); wait != 0 {
			t.Fatalf("frame %d has to wait %v", i, wait)
		}
	}
	if wait := c.idle(0); wait != time.Second/idleFrames {
		t.Errorf("one more has to wait %v", wait)
	}
	if wait := c.idle(time.Second); wait != 0 {
		t.Errorf("a second later: %v", wait)
	}
	for i := range resetBurst {
		if !c.reset(time.Second) {
			t.Fatalf("reset %d is too many", i)
		}
	}
	if c.reset(time.Second) {
		t.Error("one more is not")
	}
	if c.reckon(time.Hour); c.frames != idleBurst || c.resets != resetBurst {
		t.Errorf("after an hour %v and %v", c.frames, c.resets)
	}
}
