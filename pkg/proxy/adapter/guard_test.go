package adapter

import (
	"bytes"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// frames is what a client says by f, behind its preface.
func frames(t *testing.T, f func(*http2.Framer) error) []byte {
	t.Helper()
	b := bytes.NewBufferString(http2.ClientPreface)
	if err := f(http2.NewFramer(b, nil)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What carries nothing is counted, however the bytes come.
func TestGuardCounts(t *testing.T) {
	said := frames(t, func(f *http2.Framer) error {
		_ = f.WriteSettings()                                                                 // 1
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}}) // carries
		_ = f.WriteContinuation(1, true, nil)                                                 // 2
		_ = f.WriteData(1, false, make([]byte, 10000))                                        // carries
		_ = f.WriteData(1, false, nil)                                                        // 3
		_ = f.WriteData(1, true, nil)                                                         // carries the end
		_ = f.WriteWindowUpdate(0, 1)                                                         // carries
		_ = f.WritePing(false, [8]byte{})                                                     // 4
		_ = f.WriteRSTStream(1, http2.ErrCodeCancel)                                          // 5
		_ = f.WritePriority(1, http2.PriorityParam{})                                         // 6
		return f.WriteRawFrame(0xee, 0, 0, []byte("x"))                                       // 7
	})
	for step := range 12 {
		g := newGuard(nil, len(http2.ClientPreface))
		idle := 0
		for rest := said; len(rest) > 0; {
			n := min(step+1, len(rest))
			idle += g.count(rest[:n])
			rest = rest[n:]
		}
		if idle != 7 {
			t.Errorf("%d bytes at a time: %d frames that carry nothing, want 7", step+1, idle)
		}
	}
}

// Ten thousand pings pass at the rate that is allowed, and what carries something passes at once.
func TestGuardSlowsDown(t *testing.T) {
	for _, tc := range []struct {
		name string
		n    int
		say  func(f *http2.Framer) error
		want time.Duration
	}{
		{"pings", 10_000, func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) }, 5 * time.Second},
		{"a burst of pings", 5_000, func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) }, 0},
		{"data", 50_000, func(f *http2.Framer) error { return f.WriteData(1, false, []byte("x")) }, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			g := guarded(ours)
			go func() {
				defer theirs.Close()
				theirs.Write(frames(t, func(f *http2.Framer) (err error) {
					for range tc.n {
						err = tc.say(f)
					}
					return err
				}))
			}()
			begun := time.Now()
			if _, err := io.Copy(io.Discard, g); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took < tc.want || took > tc.want+100*time.Millisecond {
				t.Errorf("%s took %v, want %v", tc.name, took, tc.want)
			}
		})
	}
}

// A guard that waits ends at once when its connection is closed.
func TestGuardCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		g := guarded(ours)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(io.Discard, g)
		}()
		theirs.Write(frames(t, func(f *http2.Framer) (err error) {
			for range idleBurst + 10*idleFrames {
				err = f.WritePing(false, [8]byte{})
			}
			return err
		})[:100_000])
		theirs.Close()
		begun := time.Now()
		g.Close()
		<-done
		if took := time.Since(begun); took > 0 {
			t.Errorf("it took %v", took)
		}
	})
}
