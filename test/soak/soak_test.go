package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
)

// See the comment of the package.
const (
	envDuration = "WAGGLE_TEST_SOAK"
	envDocs     = "WAGGLE_TEST_SOAK_DOCS"
)

// TestSoak plays everything once, or for as long as it is told.
func TestSoak(t *testing.T) {
	duration := time.Duration(0)
	if text := os.Getenv(envDuration); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	s := open(t)
	s.long = duration > 0
	r := report{}
	// What is made once and kept, such as buffers, is there after some load, or after a round of everything.
	warmUp := streams()
	if !s.long {
		warmUp = [][]act{{{name: "load alone", run: func(ctx context.Context, _ *stage) error { breathe(ctx, 2*time.Second); return nil }}}}
	}
	s.play(t, &programme{s: s, streams: warmUp})
	r.Before = s.settle(t, func(footprint) error { return nil })
	p := &programme{s: s, streams: streams(), duration: duration}
	r.Began = time.Now()
	l := s.play(t, p)
	r.Took = time.Since(r.Began)
	if err := s.reread(t.Context(), s.configuration(0), 1); err != nil {
		t.Errorf("back to the first configuration: %v", err)
	}
	r.After = s.settle(t, func(f footprint) error {
		if found := f.leaks(r.Before); len(found) > 0 {
			return errors.New(strings.Join(found, "; "))
		}
		return nil
	})
	if err := r.fill(s, p, l); err != nil {
		t.Fatal(err)
	}
	r.judge(t, p)
	t.Logf("\n%s", r.text())
	if dir := os.Getenv(envDocs); dir != "" {
		if err := r.write(dir); err != nil {
			t.Fatal(err)
		}
	}
}

// play has the load run while the acts are carried out.
func (s *stage) play(t *testing.T, p *programme) *load {
	l := s.load(t.Context())
	defer l.end()
	ended := make(chan struct{})
	go func() { defer close(ended); p.run(t.Context()) }()
	select {
	case <-ended:
	case <-s.process.Done():
		t.Fatalf("waggle has ended: %v\n%s", s.process.Err(), s.process.Output())
	}
	return l
}

// settle waits until nothing goes on any more and ok agrees, and returns what is held then. Source ports, and with them
// flows, are held for a minute after their connection: only a long run waits for these.
func (s *stage) settle(t *testing.T, ok func(footprint) error) (f footprint) {
	t.Helper()
	labtest.Eventually(t, 3*time.Minute, "everything is as before", func() (err error) {
		if f, err = s.footprint(context.WithoutCancel(t.Context())); err != nil {
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
	return f
}
