package drive

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// mostExamples bounds how many failures of a cell are kept one by one.
const mostExamples = 20

// Cell is what one lane of one contender met during one act.
type Cell struct {
	Contender string         `json:"contender"`
	Lane      string         `json:"lane"`
	Exchanges int            `json:"exchanges"`
	Failed    int            `json:"failed"`
	Slow      int            `json:"slow"` // of those that did not fail
	Reasons   map[string]int `json:"reasons,omitempty"`
	MedianMS  float64        `json:"median_ms"` // of those that did not fail, as all below
	P99MS     float64        `json:"p99_ms"`
	MaxMS     float64        `json:"max_ms"`
	Failures  []Failure      `json:"failures,omitempty"` // the first ones
	Slowest   []Failure      `json:"slowest,omitempty"`  // the first slow ones

	took []time.Duration
}

// Failure is one exchange that failed or was slow.
type Failure struct {
	After  float64 `json:"after_s"` // from the beginning of the act to that of the exchange
	TookMS float64 `json:"took_ms"`
	Reason string  `json:"reason,omitempty"`
}

// tally counts exchanges by act. Its methods may be called from several goroutines.
type tally struct {
	mu   sync.Mutex
	act  int
	acts map[int]*scene // that are not taken yet
}

// scene is what is counted of an act.
type scene struct {
	began time.Time
	open  int // exchanges that have begun and not ended
	cells map[cellKey]*Cell
}

type cellKey struct{ contender, lane string }

func newTally() *tally {
	t := &tally{acts: make(map[int]*scene)}
	t.next()
	return t
}

// next begins another act. Whoever is interested in it takes it when it is over.
func (t *tally) next() (act int, began time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.act++
	began = time.Now()
	t.acts[t.act] = &scene{began: began, cells: make(map[cellKey]*Cell)}
	return t.act, began
}

// begin tells which act an exchange that begins now belongs to. It ends with add.
func (t *tally) begin() (act int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.acts[t.act].open++
	return t.act
}

// open is how many exchanges of an act have not ended.
func (t *tally) open(act int) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.acts[act].open
}

// add counts an exchange that has ended, if its act is not taken.
func (t *tally) add(act int, contender string, lane Lane, began time.Time, took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sc := t.acts[act]
	if sc == nil {
		return
	}
	sc.open--
	key := cellKey{contender, lane.Name}
	c := sc.cells[key]
	if c == nil {
		c = &Cell{Contender: contender, Lane: lane.Name, Reasons: make(map[string]int)}
		sc.cells[key] = c
	}
	c.count(began.Sub(sc.began), took, took > lane.takes+slowAfter, err)
}

// count adds an exchange that began at a moment of the act.
func (c *Cell) count(after, took time.Duration, slow bool, err error) {
	c.Exchanges++
	one := Failure{After: after.Seconds(), TookMS: milliseconds(took)}
	if err != nil {
		one.Reason = err.Error()
		c.Failed++
		c.Reasons[one.Reason]++
		if len(c.Failures) < mostExamples {
			c.Failures = append(c.Failures, one)
		}
		return
	}
	c.took = append(c.took, took)
	if slow {
		c.Slow++
		if len(c.Slowest) < mostExamples {
			c.Slowest = append(c.Slowest, one)
		}
	}
}

// take returns what an act that is over met, and all before it that nobody took are forgotten.
func (t *tally) take(act int) []Cell {
	t.mu.Lock()
	defer t.mu.Unlock()
	var cells []Cell
	for _, c := range t.acts[act].cells {
		c.summarise()
		cells = append(cells, *c)
	}
	maps.DeleteFunc(t.acts, func(number int, _ *scene) bool { return number <= act })
	return cells
}

func (c *Cell) summarise() {
	if len(c.took) == 0 {
		return
	}
	slices.Sort(c.took)
	at := func(share float64) float64 { return milliseconds(c.took[int(share*float64(len(c.took)-1))]) }
	c.MedianMS, c.P99MS, c.MaxMS = at(0.5), at(0.99), at(1)
}

// milliseconds, to the microsecond.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
