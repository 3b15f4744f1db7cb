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
