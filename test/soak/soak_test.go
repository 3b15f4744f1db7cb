package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// See the comment of the package.
const (
	envDuration = "WAGGLE_TEST_SOAK"
	envDocs     = "WAGGLE_TEST_SOAK_DOCS"
	envSeed     = "WAGGLE_TEST_SOAK_SEED"
)

// TestSoak plays everything once, or for as long as it is told. Why it has failed it says at the very end and in few lines, whatever
// the log and the report before that are cut to.
func TestSoak(t *testing.T) {
	duration, seed, err := told()
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, seed)
	s.long = duration > 0
	r := report{Seed: seed}
	err = s.soak(t.Context(), duration, &r)
	problems := r.problems()
	if err != nil {
		problems = append(problems, err.Error())
	}
	if len(problems) > 0 {
		s.journal.end()
	}
	t.Logf("\n%s", r.text())
	if dir := os.Getenv(envDocs); dir != "" && len(problems) == 0 {
		if err := r.write(dir); err != nil {
			problems = append(problems, err.Error())
		}
	}
	if len(problems) > 0 {
		t.Errorf("%s\n%s\nFor the acts in the same order: %s=%d",
			strings.Join(problems, "\n"), strings.Join(s.journal.noServer(), "\n"), envSeed, seed)
	}
}

// told says for how long the load is to run, 0 for one round of all acts, and what decides about the acts: the round of `make test` is the
// same each time, so that its failure is due to a change; long runs are to meet what nobody has thought of.
func told() (duration time.Duration, seed uint64, err error) {
	if text := os.Getenv(envDuration); text != "" {
		if duration, err = time.ParseDuration(text); err != nil {
			return 0, 0, err
		}
	}
	if text := os.Getenv(envSeed); text != "" {
		seed, err = strconv.ParseUint(text, 10, 64)
		return duration, seed, err
	}
	if duration == 0 {
		return 0, 1, nil
	}
	return duration, rand.Uint64(), nil
}

// soak has everything happen and reports it. After an error, such as the end of the process, the report is not complete.
func (s *stage) soak(ctx context.Context, duration time.Duration, r *report) (err error) {
	// What is made once and kept, such as buffers, is there after some load, or after a round of everything.
	warmUp := &programme{s: s, streams: streams(), seed: r.Seed}
	if !s.long {
		alone := act{name: "load alone", run: func(ctx context.Context, _ *stage, _ *rand.Rand) error { breathe(ctx, 2*time.Second); return nil }}
		warmUp.streams = [][]act{{alone}}
	}
	if _, err := s.play(ctx, warmUp); err != nil {
		return err
	}
	if r.Before, err = s.settle(ctx, func(footprint) error { return nil }); err != nil {
		return err
	}
	p := &programme{s: s, streams: streams(), duration: duration, seed: r.Seed}
	r.Began = time.Now()
	l, err := s.play(ctx, p)
	r.Took = time.Since(r.Began)
	if err != nil {
		return err
	}
	if err := r.fill(ctx, s, p, l); err != nil {
		return err
	}
	if err := s.reread(ctx, s.configuration(0), 1); err != nil {
		return fmt.Errorf("back to the first configuration: %w", err)
	}
	r.After, err = s.settle(ctx, func(f footprint) error {
		if found := f.leaks(r.Before); len(found) > 0 {
			return errors.New(strings.Join(found, "; "))
		}
		return nil
	})
	return err
}

// play has the load run while the acts are carried out.
func (s *stage) play(ctx context.Context, p *programme) (*load, error) {
	l := s.load(ctx)
	defer l.end()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan struct{})
	go func() { defer close(ended); p.run(ctx) }()
	select {
	case <-ended:
		return l, nil
	case <-s.process.Done():
		cancel()
		<-ended
		return l, fmt.Errorf("waggle has ended: %v", s.process.Err())
	}
}

// settle waits until nothing goes on any more and ok agrees, and returns what is held then. Source ports, and with them
// flows, are held for a minute after their connection: only a long run waits for these.
func (s *stage) settle(ctx context.Context, ok func(footprint) error) (f footprint, err error) {
	err = eventually(3*time.Minute, "everything is as before", func() (err error) {
		if f, err = s.footprint(ctx); err != nil {
			return err
		}
		if !s.long {
			f.Flows, f.Ports = 0, 0
		}
		if f.Sessions > 0 || f.Flows > 0 {
			return fmt.Errorf("%d sessions, %d flows", f.Sessions, f.Flows)
		}
		return ok(f)
	})
	return f, err
}

// eventually tries until it works or the time is over. Unlike [labtest.Eventually] it leaves the last word to the caller.
func eventually(d time.Duration, what string, try func() error) error {
	for deadline := time.Now().Add(d); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return wrapped(err, "%s: not within %s", what, d)
		}
	}
}

// wrapped says what an error is about, if it is one.
func wrapped(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
