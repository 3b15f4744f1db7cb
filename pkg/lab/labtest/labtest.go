// Package labtest makes labs for tests.
package labtest

import (
	"context"
	"testing"
	"time"

	"waggle/pkg/lab"
	"waggle/pkg/lab/require"
)

// New makes a lab that is closed when the test ends. It needs root: else the test is skipped, or fails in CI.
// What the actors write goes to the log of the test.
func New(t testing.TB, o lab.Options) *lab.Lab {
	t.Helper()
	require.Root(t)
	if o.Output == nil {
		o.Output = t.Output()
	}
	l, err := lab.New(Context(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// Context ends with the test, and at the latest after a minute.
func Context(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// Eventually tries until it works or the time is over; waiting for a real network has no other way.
func Eventually(t testing.TB, d time.Duration, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(d)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s: %v", what, d, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// AwaitListening connects to addr from a host until that succeeds: balancers do not say when they are ready.
func AwaitListening(t testing.TB, from *lab.Host, addr string) {
	t.Helper()
	ctx := Context(t)
	for {
		conn, err := from.DialContext(ctx, "tcp4", addr)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("nobody listens at %s: %v", addr, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
