package agent

import (
	"testing"

	"waggle/pkg/runtimeapi"
)

// Who stops finds a process that listens where it does, and nobody else.
func TestAnotherListensAtTheSameAddress(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"} {
		ours, err := runtimeapi.ListenBeside(at)
		if err != nil {
			t.Fatal(err)
		}
		defer ours.Close()
		theirs, err := runtimeapi.ListenBeside(at) // another port
		if err != nil {
			t.Fatal(err)
		}
		defer theirs.Close()
		if another, err := anotherListens(ours); another || err != nil {
			t.Errorf("%s: %v, %v alone", at, another, err)
		}
		successor, err := runtimeapi.ListenBeside(ours.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if another, err := anotherListens(ours); !another || err != nil {
			t.Errorf("%s: %v, %v beside another", at, another, err)
		}
		successor.Close()
		if another, err := anotherListens(ours); another || err != nil {
			t.Errorf("%s: %v, %v alone again", at, another, err)
		}
	}
}
