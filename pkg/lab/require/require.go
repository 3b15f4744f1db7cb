// Package require decides what a test does when the machine lacks something the test needs.
//
// For a user who runs `go test` without privileges such a test skips and says why. In CI, where
// WAGGLE_TEST_REQUIRE=all is set, the same lack is a failure: a skip there would hide a regression.
package require

import (
	"os"
	"os/exec"
	"testing"
)

// Env names the variable that turns skips into failures when its value is "all".
const Env = "WAGGLE_TEST_REQUIRE"

// Skip ends the test because of reason: a skip for a user, a failure in CI.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv(Env) == "all" {
		t.Fatalf("%s=all, and the test cannot run: %s", Env, reason)
	}
	t.Skip(reason)
}

// Root demands an effective uid of 0.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Skip(t, "needs root (network namespaces, bpf)")
	}
}

// Tool demands an executable on PATH and returns where it is.
func Tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Skip(t, "needs "+name+" on PATH")
	}
	return path
}

// NoRace skips the test, everywhere, if the race detector is on, because of reason: with it sync.Pool drops things at random, so
// allocations cannot be counted, and all takes up to twenty times as long.
func NoRace(t testing.TB, reason string) {
	t.Helper()
	if race {
		t.Skip("with the race detector: " + reason)
	}
}
