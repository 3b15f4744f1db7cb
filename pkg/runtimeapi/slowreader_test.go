package runtimeapi

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestSlowReaders: a client has the idle time for each piece of an answer, not for the whole, and no longer for any.
func TestSlowReaders(t *testing.T) {
	const idle = 10 * time.Second
	answer := strings.Repeat("0123456789abcde\n", 1000)
	for _, tc := range []struct {
		every time.Duration
		whole bool
	}{{time.Second, true}, {idle - time.Millisecond, true}, {idle + time.Millisecond, false}} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			took := make(chan bool, 1)
			go func() {
				took <- (&session{conn: ours, idle: idle}).write(answer)
				ours.Close()
			}()
			var got []byte
			for buf := make([]byte, 500); ; {
				time.Sleep(tc.every)
				n, err := theirs.Read(buf)
				if got = append(got, buf[:n]...); err == io.EOF {
					break
				}
			}
			if whole := string(got) == answer; whole != tc.whole || <-took != tc.whole {
				t.Errorf("a piece each %v: %d of %d bytes", tc.every, len(got), len(answer))
			}
		})
	}
}
