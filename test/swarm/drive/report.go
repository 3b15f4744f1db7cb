package drive

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Report is a run as it is kept.
type Report struct {
	Setup   Setup
	Results []Result
}

// Setup is what ran on what.
type Setup struct {
	Began   time.Time `json:"began"`
	CPUs    int       `json:"cpus"`
	Kernel  string    `json:"kernel"`
	Engine  string    `json:"engine"`
	HAProxy string    `json:"haproxy"`
	Waggle  string    `json:"waggle"`
	Lanes   []string  `json:"lanes"`
}

// Setup describes the stage.
func (s *Stage) Setup(ctx context.Context) Setup {
	setup := Setup{Began: time.Now().UTC(), CPUs: runtime.NumCPU()}
	var uts unix.Utsname
	if unix.Uname(&uts) == nil {
		setup.Kernel = unix.ByteSliceToString(uts.Release[:])
	}
	ask := func(args ...string) string {
		out, err := s.Engine.Docker(ctx, args...)
		if err != nil {
			return ""
		}
		line, _, _ := strings.Cut(out, "\n")
		return strings.TrimSpace(line)
	}
	setup.Engine = ask("version", "--format", "{{.Server.Version}}")
	for _, c := range s.Contenders {
		version := ask("run", "--rm", "--network", "none", c.Image, "-v")
		if c.Image == haproxyImage {
			setup.HAProxy = version
		} else {
			setup.Waggle = version
		}
	}
	for _, l := range Lanes() {
		setup.Lanes = append(setup.Lanes, l.Name)
	}
	return setup
}

// File is raw results, as JSON objects on lines: the setup, then each result.
type File struct {
	file *os.File // nil: none
}

// CreateReport begins a file of raw results, or adds to one. Without a path nothing is written. Close it.
func CreateReport(path string, add bool, setup Setup) (*File, error) {
	if path == "" {
		return &File{}, nil
	}
	mode := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if add {
		mode = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	}
	file, err := os.OpenFile(path, mode, 0o644) //nolint:gosec // a report is for everybody
	if err != nil {
		return nil, err
	}
	f := &File{file}
	info, err := file.Stat()
	if err == nil && info.Size() == 0 {
		err = f.line(setup)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f, nil
}

// Add writes a result.
func (f *File) Add(r Result) error {
	if f.file == nil {
		return nil
	}
	return f.line(r)
}

func (f *File) line(v any) error {
	content, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = f.file.Write(append(content, '\n'))
	return err
}

// Close ends the file.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}

// mostLine bounds a line of a file that is read, in bytes.
const mostLine = 1 << 22

// ReadReport reads a file of raw results.
func ReadReport(path string) (report Report, err error) {
	file, err := os.Open(path)
	if err != nil {
		return report, err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, mostLine)
	for n := 1; lines.Scan(); n++ {
		var target any = &report.Setup
		if n > 1 {
			report.Results = append(report.Results, Result{})
			target = &report.Results[n-2]
		}
		if err := json.Unmarshal(lines.Bytes(), target); err != nil {
			return report, fmt.Errorf("%s:%d: %w", path, n, err)
		}
	}
	return report, lines.Err()
}

// Misses lists what all results hold against the goals.
func (r Report) Misses() []string {
	var all []string
	for i, result := range r.Results {
		for _, miss := range Misses(result, Contenders()) {
			all = append(all, fmt.Sprintf("act %d, %s: %s", i+1, result.Title(), miss))
		}
	}
	return all
}

// Title says what was done.
func (r Result) Title() string {
	words := []string{r.Act}
	if r.Order != "" {
		words = append(words, string(r.Order))
	}
	return strings.Join(append(words, r.Behaviour.Name), ", ")
}

// Summary is a line about a result.
func (r Result) Summary() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%.0f s)", r.Title(), r.DoneAfter)
	for _, c := range r.contenders() {
		t := r.total(c, isGoal)
		l := r.late(c)
		fmt.Fprintf(&b, "; %s %d failed %d slow %d late of %d", c, t.failed, t.slow, l.Connections+l.Requests, t.exchanges)
	}
	return b.String()
}
