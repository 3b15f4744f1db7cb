package cli

import (
	"fmt"
	"os"

	"waggle/pkg/accesslog"
)

// patient has what a balancer says on standard error wait in memory, a bounded part of it, while nobody reads: a log driver that
// stalls, or a terminal that is stopped, must not keep anybody from working. lost is how many lines found no room. end writes
// what waits, for a second at most.
func (e Env) patient() (patient Env, lost func() uint64, end func()) {
	file, ok := e.Stderr.(*os.File)
	if !ok {
		return e, func() uint64 { return 0 }, func() {}
	}
	address := fmt.Sprintf("fd@%d", file.Fd())
	log, err := accesslog.New([]accesslog.Target{{Address: address, Format: "raw", Length: longestLine}}, accesslog.Options{})
	if err != nil { // it is closed: nobody hears of it
		return e, func() uint64 { return 0 }, func() {}
	}
	e.Stderr = log
	return e, log.Dropped, func() { _ = log.Close() } // there is nobody left to tell
}

// longestLine is the most that a target of the log takes.
const longestLine = 65535
