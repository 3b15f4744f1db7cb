package soak

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// journalBegin and journalEnd are how many lines of the journal are shown, from its beginning and from its end: what a failing
	// test says is often cut in the middle, so its log must not be what fills it.
	journalBegin, journalEnd = 60, 240
	// journalAlarms bounds the alarms that are repeated with the verdict.
	journalAlarms = 6
	// longestLine bounds a line, in bytes.
	longestLine = 1024
	// alarm is what waggle says when the checks have left a backend nobody.
	alarm = "has no server available!"
)

// journal is what the processes of the lab say and what is done to them, in the order of time. Its beginning is passed on at once,
// its end when it is asked for.
type journal struct {
	out io.Writer

	mu     sync.Mutex
	begun  []byte // a line that has not ended
	lines  int
	last   []string // no more than journalEnd
	alarms []string // no more than journalAlarms
}

// note enters a line of the test's own.
func (j *journal) note(text string) {
	_, _ = fmt.Fprintf(j, "time=%s soak %s\n", time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), text)
}

// Write enters what a process says.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for rest := p; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		j.begun = append(j.begun, line[:min(len(line), longestLine-len(j.begun))]...)
		if ended {
			j.enter(string(j.begun))
			j.begun = j.begun[:0]
		}
		rest = after
	}
	return len(p), nil
}

func (j *journal) enter(line string) {
	if strings.Contains(line, alarm) && len(j.alarms) < journalAlarms {
		j.alarms = append(j.alarms, line)
	}
	if j.lines++; j.lines <= journalBegin {
		fmt.Fprintln(j.out, line)
		return
	}
	if j.last = append(j.last, line); len(j.last) > journalEnd {
		j.last = j.last[1:]
	}
}

// end shows the last lines.
func (j *journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if skipped := j.lines - journalBegin - len(j.last); skipped > 0 {
		fmt.Fprintf(j.out, "[%d lines are left out]\n", skipped)
	}
	for _, line := range j.last {
		fmt.Fprintln(j.out, line)
	}
	j.last = nil
}

// noServer lists when the checks had left a backend nobody.
func (j *journal) noServer() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]string(nil), j.alarms...)
}

// However much is said, the beginning and the end of it are shown, and what matters is kept.
func TestJournal(t *testing.T) {
	var shown strings.Builder
	j := &journal{out: &shown}
	said := 3 * journalEnd
	for i := range said {
		_, _ = fmt.Fprintf(j, "line %d", i)
		_, _ = fmt.Fprintf(j, " ends\n%s", strings.Repeat("x", i))
		_, _ = fmt.Fprintf(j, "\n")
	}
	_, _ = fmt.Fprintf(j, "a backend %s\nunfinished", alarm)
	if got := strings.Count(shown.String(), "\n"); got != journalBegin {
		t.Errorf("%d lines were passed on at once, want %d", got, journalBegin)
	}
	j.end()
	text := shown.String()
	for _, want := range []string{"line 0 ends\n", fmt.Sprintf("line %d ends\n", said-1), fmt.Sprintf("[%d lines are left out]\n", 2*said+1-journalBegin-journalEnd)} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in what was shown", want)
		}
	}
	if got := strings.Count(text, "\n"); got != journalBegin+1+journalEnd {
		t.Errorf("%d lines were shown, want %d", got, journalBegin+1+journalEnd)
	}
	for line := range strings.Lines(text) {
		if len(line) > longestLine+1 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	if got := j.noServer(); len(got) != 1 || !strings.Contains(got[0], alarm) {
		t.Errorf("alarms %q", got)
	}
}
