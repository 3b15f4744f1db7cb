package drive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"waggle/test/swarm/drive/late"
)

// steadyFor is how long no exchange may fail before the first act.
const steadyFor = 3 * time.Second

// Result is what all contenders met in one act.
type Result struct {
	Act       string    `json:"act"`
	Order     Order     `json:"order,omitempty"`
	Behaviour Behaviour `json:"behaviour"`
	Empty     bool      `json:"empty,omitempty"` // the service had no task for a while
	Began     time.Time `json:"began"`
	DoneAfter float64   `json:"done_after_s"` // when the swarm was done
	Stopped   int       `json:"stopped"`      // tasks that got SIGTERM, and left a record of it
	Cells     []Cell    `json:"cells"`
	Late      []Late    `json:"late"`
}

// Late is what a contender sent to tasks after their SIGTERM. Only tasks that drain can count it.
type Late struct {
	Contender   string  `json:"contender"`
	Connections int     `json:"connections"` // new ones with data
	Checks      int     `json:"checks"`      // new ones without: health checks
	Requests    int     `json:"requests"`    // HTTP, on whatever connection
	LastMS      float64 `json:"last_ms"`     // the last connection or request, after SIGTERM
}

// Run plays acts one after the other and tells each result to report. The load goes on all the while.
func (s *Stage) Run(ctx context.Context, acts []Act, report func(Result) error) (err error) {
	t := newTally()
	l := s.startLoad(t)
	defer l.stop()
	if err := s.awaitSteady(ctx, t); err != nil {
		return err
	}
	for _, act := range acts {
		if s.behaviour != act.Behaviour {
			t.next() // an act of nobody
			if err := s.become(ctx, act.Behaviour); err != nil {
				return err
			}
			if err := pause(ctx, s.Rest); err != nil {
				return err
			}
		}
		result, err := s.play(ctx, t, act)
		if err != nil {
			return fmt.Errorf("%s %s: %w", act.Name, act.Order, err)
		}
		if err := report(result); err != nil {
			return err
		}
	}
	return s.checkContenders(ctx)
}

func (s *Stage) play(ctx context.Context, t *tally, act Act) (Result, error) {
	if _, err := late.Take(s.reports); err != nil { // of tasks that stopped before
		return Result{}, err
	}
	number, began := t.next()
	r := Result{Act: act.Name, Order: act.Order, Behaviour: act.Behaviour, Empty: act.Empty, Began: began.UTC()}
	if err := act.run(ctx, s); err != nil {
		return r, err
	}
	r.DoneAfter = time.Since(began).Seconds()
	if err := pause(ctx, s.Rest); err != nil {
		return r, err
	}
	t.next()
	// What began within the act may last until its timeout.
	if err := await(ctx, "the last exchanges", func() (bool, error) { return t.open(number) == 0, nil }); err != nil {
		return r, err
	}
	r.Cells = t.take(number)
	slices.SortFunc(r.Cells, func(a, b Cell) int {
		return cmp.Or(cmp.Compare(a.Contender, b.Contender), cmp.Compare(a.Lane, b.Lane))
	})
	records, err := late.Take(s.reports)
	r.Stopped, r.Late = len(records), s.blame(records)
	return r, err
}

// blame counts by contender what reached tasks after SIGTERM.
func (s *Stage) blame(records []late.Record) []Late {
	var all []Late
	for _, c := range s.Contenders {
		l := Late{Contender: c.Name}
		for _, r := range records {
			opened, spoke := 0, 0
			for _, a := range r.Arrivals {
				if s.sources[a.From] != c.Name {
					continue
				}
				switch a.Kind {
				case late.Opened:
					opened++
					continue
				case late.Connection:
					spoke++
				case late.Request:
					l.Requests++
				}
				l.LastMS = max(l.LastMS, milliseconds(a.At.Sub(r.Terminated)))
			}
			l.Connections += spoke
			l.Checks += opened - spoke
		}
		all = append(all, l)
	}
	return all
}

// awaitSteady waits until nothing fails any more.
func (s *Stage) awaitSteady(ctx context.Context, t *tally) error {
	for end := time.Now().Add(stepTimeout); time.Now().Before(end); {
		number, _ := t.next()
		if err := pause(ctx, steadyFor); err != nil {
			return err
		}
		t.next()
		err := await(ctx, "the last exchanges", func() (bool, error) { return t.open(number) == 0, nil })
		if err != nil {
			return err
		}
		good := 0
		for _, c := range t.take(number) {
			if c.Failed == 0 && c.Slow == 0 {
				good++
			}
		}
		if good == len(s.Contenders)*len(Lanes()) {
			return nil
		}
	}
	errs := []error{errors.New("the contenders never all served without a failure")}
	for _, c := range s.Contenders {
		errs = append(errs, fmt.Errorf("%s says:\n%s", c.Name, s.logs(c.Name)))
	}
	return errors.Join(errs...)
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
