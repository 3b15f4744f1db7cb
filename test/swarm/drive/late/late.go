// Package late is the record that a task leaves of what reached it after Swarm had asked it to stop: the task
// writes it, the test reads it.
package late

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Suffix of the files that hold a record.
const Suffix = ".late.json"

// MostArrivals bounds a record.
const MostArrivals = 10000

// Kind says what arrived.
type Kind string

// Kinds of arrivals.
const (
	Opened     Kind = "opened"     // a new connection; a check opens and sends nothing
	Connection Kind = "connection" // a new connection that brought data: a client's
	Request    Kind = "request"    // an HTTP request, on whatever connection
)

// Arrival is something that reached a task after its SIGTERM.
type Arrival struct {
	At   time.Time
	From netip.Addr // the balancer, on the overlay network
	Kind Kind
}

// Record is one task's.
type Record struct {
	Host              string
	Terminated, Ended time.Time
	Arrivals          []Arrival
}

// Take reads and removes all records in a directory.
func Take(dir string) ([]Record, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var records []Record
	var errs []error
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), Suffix) {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		content, err := os.ReadFile(path)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		var r Record
		if err := json.Unmarshal(content, &r); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		records = append(records, r)
		errs = append(errs, os.Remove(path))
	}
	return records, errors.Join(errs...)
}
