package drive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// exchangeError is why an exchange failed, in words that do not depend on addresses, so that they can be counted.
type exchangeError struct {
	step string // "connect", "send", "answer"
	err  error
}

func (e *exchangeError) Error() string { return e.step + ": " + word(e.err) }
func (e *exchangeError) Unwrap() error { return e.err }

// word names an error of the network.
func word(err error) string {
	for _, known := range []struct {
		err  error
		text string
	}{
		{syscall.ECONNREFUSED, "refused"},
		{syscall.ECONNRESET, "reset"},
		{syscall.EPIPE, "reset"},
		{syscall.EHOSTUNREACH, "unreachable"},
		{syscall.ENETUNREACH, "unreachable"},
		{syscall.ETIMEDOUT, "timeout"},
		{os.ErrDeadlineExceeded, "timeout"},
		{context.DeadlineExceeded, "timeout"},
		{io.ErrUnexpectedEOF, "closed"},
		{io.EOF, "closed"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return err.Error()
}

// statusError is an HTTP answer that is none of the service's.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("status %d", int(e)) }

// foreignError is an answer that no task gives.
type foreignError string

func (e foreignError) Error() string { return fmt.Sprintf("foreign answer %.40q", string(e)) }
