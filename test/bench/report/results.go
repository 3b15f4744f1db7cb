package report

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Run says how and where something was measured.
type Run struct {
	Suite   string    `json:"suite"`
	Command string    `json:"command"` // that repeats it
	Started time.Time `json:"started"`
	Rounds  int       `json:"rounds"`
	// Machine is a line on kernel and processors; Versions is one for each program that took part.
	Machine  string   `json:"machine"`
	Versions []string `json:"versions"`
}

// Line is one line of a file of raw values: one of its fields is set.
type Line struct {
	Run     *Run     `json:"run,omitempty"`
	Sample  *Sample  `json:"sample,omitempty"`
	Packets *Packets `json:"packets,omitempty"`
	Failure *Failure `json:"failure,omitempty"`
}

// Write appends a line to a file of raw values.
func (l Line) Write(w io.Writer) error {
	if err := json.NewEncoder(w).Encode(l); err != nil {
		return fmt.Errorf("write raw values: %w", err)
	}
	return nil
}

// Results are all that a benchmark found.
type Results struct {
	Run      Run
	Samples  Data
	Packets  []Packets
	Failures []Failure
}

// Add enters a line.
func (r *Results) Add(l Line) {
	switch {
	case l.Run != nil:
		r.Run = *l.Run
	case l.Sample != nil:
		r.Samples = append(r.Samples, *l.Sample)
	case l.Packets != nil:
		r.Packets = append(r.Packets, *l.Packets)
	case l.Failure != nil:
		r.Failures = append(r.Failures, *l.Failure)
	}
}

// Read reads a file of raw values.
func Read(from io.Reader) (Results, error) {
	var r Results
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		var l Line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return r, fmt.Errorf("raw values, line %d: %w", n, err)
		}
		r.Add(l)
	}
	if err := lines.Err(); err != nil {
		return r, fmt.Errorf("read raw values: %w", err)
	}
	if r.Run.Suite == "" {
		return r, errors.New("raw values: no line says what was run")
	}
	return r, nil
}

// Lines are the results as lines of a file of raw values.
func (r *Results) Lines() []Line {
	lines := []Line{{Run: &r.Run}}
	for i := range r.Samples {
		lines = append(lines, Line{Sample: &r.Samples[i]})
	}
	for i := range r.Packets {
		lines = append(lines, Line{Packets: &r.Packets[i]})
	}
	for i := range r.Failures {
		lines = append(lines, Line{Failure: &r.Failures[i]})
	}
	return lines
}
