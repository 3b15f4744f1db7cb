package soak

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// report is what a run has shown.
type report struct {
	Seed          uint64
	Began         time.Time
	Took          time.Duration
	Before, After footprint
	Peak          int     // bytes of resident memory
	Kernel        float64 // share of the connections of its frontend

	lanes    []lane
	tallies  []tally
	excused  []failure
	failures []failure
	acts     map[string]int
	failed   []happened // acts that could not be carried out, and no other act explains it
	during   func(*failure) []string
}

func (r *report) fill(ctx context.Context, s *stage, p *programme, l *load) error {
	status, err := processStatus(s.process.Pid())
	if err != nil {
		return err
	}
	m, err := s.metrics(ctx)
	if err != nil {
		return err
	}
	r.Kernel = m[`waggle_frontend_sessions_total{path="kernel",proxy="tcp_in"}`] / m[`haproxy_frontend_sessions_total{proxy="tcp_in"}`]
	r.Peak = status["VmHWM"] << 10
	r.lanes, r.tallies = l.lanes, l.tallies
	r.excused, r.failures = p.excused(l.failures)
	r.during = p.during
	r.acts = make(map[string]int)
	for _, h := range p.log {
		r.acts[h.act.name]++
		if h.err != nil && !p.excusesAct(&h) {
			r.failed = append(r.failed, h)
		}
	}
	return nil
}

// problems says what must not be, in a line each and no more than a screen of them: for each kind of traffic its first failure. Leaks
// are looked for elsewhere.
func (r *report) problems() (found []string) {
	add := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	during := ""
	for _, l := range r.lanes {
		if i := slices.IndexFunc(r.failures, func(f failure) bool { return f.lane.name == l.name }); i >= 0 {
			f := &r.failures[i]
			add("%d unexplained failures, the first: %s", count(r.failures, l), f)
			if acts := strings.Join(r.during(f), ", "); acts != during {
				add("  during %s", acts)
				during = acts
			}
		}
	}
	for i, h := range r.failed {
		if i == mostActs {
			add("%d acts in all could not be carried out", len(r.failed))
			break
		}
		add("%s to %s %s: %s", h.began.Format("15:04:05.000"), h.end.Format("05.000"), h.act.name, short(h.err))
	}
	for i, tally := range r.tallies {
		if tally.done == 0 {
			add("%s: nothing was exchanged", r.lanes[i].name)
		}
	}
	if r.lanes != nil && !(r.Kernel >= leastKernel) {
		add("the kernel carried %.0f %% of the connections of its frontend, of which it must carry %.0f %%", 100*r.Kernel, 100*leastKernel)
	}
	return found
}

const (
	// leastKernel is the share of its frontend's connections that the kernel path has to carry.
	leastKernel = 0.9
	// mostActs bounds the acts that are listed because they could not be carried out, and longestError what is said of each, in bytes.
	mostActs, longestError = 5, 300
)

// short is the beginning of what an error says: those of an act are many.
func short(err error) string {
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if len(text) > longestError {
		text = text[:longestError] + " …"
	}
	return text
}

func (r *report) text() string {
	if r.lanes == nil {
		return "there is nothing to report"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s under load on %s.\n\n", r.Took.Round(time.Second), r.Began.UTC().Format("2006-01-02 15:04 MST"))
	b.WriteString("| traffic | exchanges | bytes compared | failed, explained by an act | failed otherwise |\n| --- | ---: | ---: | ---: | ---: |\n")
	for i, l := range r.lanes {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %d |\n", l.name, r.tallies[i].done, r.tallies[i].bytes, count(r.excused, l), count(r.failures, l))
	}
	wrong := slices.ContainsFunc(r.failures, func(f failure) bool { return errors.Is(f.err, errWrong) })
	fmt.Fprintf(&b, "\nWrong bytes: %s. The kernel path carried %.1f %% of the connections of its frontend.\n",
		map[bool]string{false: "none", true: "SOME"}[wrong], 100*r.Kernel)
	b.WriteString("\n| the process holds | before | after |\n| --- | ---: | ---: |\n")
	for _, row := range []struct {
		name          string
		before, after int
	}{
		{"file descriptors", r.Before.Files.sum(), r.After.Files.sum()},
		{"threads", r.Before.Threads, r.After.Threads},
		{"goroutines", r.Before.Goroutines, r.After.Goroutines},
		{"eBPF maps", r.Before.Maps, r.After.Maps},
		{"eBPF programs", r.Before.Programs, r.After.Programs},
		{"sessions", r.Before.Sessions, r.After.Sessions},
		{"flows", r.Before.Flows, r.After.Flows},
		{"source ports", r.Before.Ports, r.After.Ports},
		{"resident memory, KiB", r.Before.Resident >> 10, r.After.Resident >> 10},
		{"heap, KiB", r.Before.Heap >> 10, r.After.Heap >> 10},
	} {
		fmt.Fprintf(&b, "| %s | %d | %d |\n", row.name, row.before, row.after)
	}
	fmt.Fprintf(&b, "\nIts memory was limited to %d MiB by a control group; the most that was resident is %d MiB.\n", memoryLimit>>20, r.Peak>>20)
	b.WriteString("\n| what happened meanwhile | times |\n| --- | ---: |\n")
	names := make([]string, 0, len(r.acts))
	for name := range r.acts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(&b, "| %s | %d |\n", name, r.acts[name])
	}
	return b.String()
}

func count(list []failure, l lane) (n int) {
	for _, f := range list {
		if f.lane.name == l.name {
			n++
		}
	}
	return n
}

// Between these lines of reliability.md stands the report.
const (
	reportBegins = "<!-- soak: begin -->\n"
	reportEnds   = "<!-- soak: end -->\n"
)

// write puts the report into its place in reliability.md of a directory.
func (r *report) write(dir string) error {
	name := filepath.Join(dir, "reliability.md")
	page, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(page), reportBegins)
	_, after, ends := strings.Cut(rest, reportEnds)
	if !found || !ends {
		return fmt.Errorf("%s has no place for the report", name)
	}
	return os.WriteFile(name, []byte(before+reportBegins+r.text()+reportEnds+after), 0o600)
}
