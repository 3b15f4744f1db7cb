package proxy

import "time"

// calm bounds how fast a client may do what costs it nothing.
type calm struct {
	frames, resets float64 // that it may send at once
	at             time.Duration
}

const (
	// idleFrames is how many frames that carry nothing a client may send in a second on average, and idleBurst how many
	// at once. Browsers and gRPC send a few in a second; HAProxy counts such frames as glitches.
	idleFrames = 1000
	idleBurst  = 5000
	// resetFrames and resetBurst are the same for requests that it gives up before they are answered. Whom idleFrames slow
	// down goes on; this ends the connection, since each of them may have been sent to a server.
	resetFrames = 200
	resetBurst  = 1000
)

func (c *calm) begin(now time.Duration) { c.frames, c.resets, c.at = idleBurst, resetBurst, now }

func (c *calm) reckon(now time.Duration) {
	passed := (now - c.at).Seconds()
	c.frames = min(c.frames+passed*idleFrames, idleBurst)
	c.resets = min(c.resets+passed*resetFrames, resetBurst)
	c.at = now
}

// idle counts a frame that carries nothing, and tells for how long the client is not to be listened to.
func (c *calm) idle(now time.Duration) time.Duration {
	c.reckon(now)
	if c.frames--; c.frames >= 0 {
		return 0
	}
	return time.Duration(-c.frames / idleFrames * float64(time.Second))
}

// reset counts a request that the client has given up, and tells whether that is fair.
func (c *calm) reset(now time.Duration) bool {
	c.reckon(now)
	c.resets--
	return c.resets >= 0
}
