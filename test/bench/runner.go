package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"waggle/test/bench/report"
)

// runner measures a suite.
type runner struct {
	suite    suite
	rounds   int
	duration time.Duration // of each load
	setting  setting
	progress io.Writer
	emit     func(report.Line) error
}

// run measures all rounds. A contender that fails is reported as such, and the round goes on without it.
func (r *runner) run(ctx context.Context) error {
	for round := 1; round <= r.rounds; round++ {
		for i, c := range order(r.suite.contenders, round) {
			samples, err := r.measure(ctx, c)
			if ctx.Err() != nil {
				return fmt.Errorf("ended in round %d: %w", round, context.Cause(ctx))
			}
			if err := r.tell(c, round, i+1, samples, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// order is that of a round: every other one goes backwards, so that a machine that gets slower and slower, or
// what one contender leaves behind for the next, does not favour anyone.
func order(contenders []contender, round int) []contender {
	if round%2 == 1 {
		return contenders
	}
	backwards := slices.Clone(contenders)
	slices.Reverse(backwards)
	return backwards
}

// listening is how long the machine is listened to before a load: is anyone else at work?
const listening = 100 * time.Millisecond

// measure runs all scenarios for one contender on a fresh stage.
func (r *runner) measure(ctx context.Context, c contender) ([]report.Sample, error) {
	st, err := newStage(ctx, r.setting)
	if err != nil {
		return nil, err
	}
	defer st.close()
	if err := c.start(ctx, st); err != nil {
		return nil, err
	}
	if err := st.ready(ctx); err != nil {
		return nil, err
	}
	if err := settle(ctx); err != nil {
		return nil, err
	}
	var samples []report.Sample
	for _, sc := range r.suite.scenarios {
		busy, err := busyShare(ctx, listening)
		if err != nil {
			return samples, err
		}
		s, err := st.load(ctx, sc, r.duration)
		if err != nil {
			return samples, fmt.Errorf("%s: %w", sc.Name, err)
		}
		s.Background = busy
		samples = append(samples, s)
	}
	share, err := st.kernelShare(ctx)
	for i := range samples {
		samples[i].KernelShare = share
	}
	return samples, err
}

// tell hands on what a contender did in a round.
func (r *runner) tell(c contender, round, position int, samples []report.Sample, failed error) error {
	fmt.Fprintf(r.progress, "round %d/%d  %-26s", round, r.rounds, c.Title)
	for _, s := range samples {
		s.Suite, s.Contender, s.Round, s.Position = r.suite.Name, c.Name, round, position
		fmt.Fprintf(r.progress, "  %s %.0f/s", s.Scenario, float64(s.Requests)/s.Seconds)
		if err := r.emit(report.Line{Sample: &s}); err != nil {
			return err
		}
	}
	if failed != nil {
		fmt.Fprintf(r.progress, "  failed: %v", failed)
	}
	fmt.Fprintln(r.progress)
	if failed == nil {
		return nil
	}
	return r.emit(report.Line{Failure: &report.Failure{Suite: r.suite.Name, Contender: c.Name, Round: round, Error: failed.Error()}})
}

// absent names the contenders that no round measured.
func absent(s suite, results report.Results) error {
	var missing []error
	for _, c := range s.contenders {
		if !slices.ContainsFunc(results.Samples, func(v report.Sample) bool { return v.Contender == c.Name }) {
			missing = append(missing, fmt.Errorf("%s was never measured", c.Title))
		}
	}
	return errors.Join(missing...)
}
