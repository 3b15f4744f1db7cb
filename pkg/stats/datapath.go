package stats

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// pathReport is what `show datapath` tells; its JSON form is a contract of ours.
type pathReport struct {
	Mode       string           `json:"mode"`
	Degraded   []string         `json:"degraded"`
	Interfaces []ifaceReport    `json:"interfaces"`
	Frontends  []frontendReport `json:"frontends"`
	Reasons    []reasonReport   `json:"reasons"`
	Maps       []mapReport      `json:"maps"`
	Ports      []portReport     `json:"source_ports"`
	Runs       uint64           `json:"runs"`   // packets looked at while measured
	RunNs      int64            `json:"run_ns"` // ns a packet; 0 = not measured
}

type ifaceReport struct {
	Name   string `json:"name"`
	Attach string `json:"attach"`
	// WithoutXDP says why it is not "xdp+…".
	WithoutXDP string `json:"without_xdp,omitempty"`
}

type frontendReport struct {
	Name           string `json:"name"`
	Path           string `json:"path"` // kernel or userspace
	Reason         string `json:"reason,omitempty"`
	KernelNow      int64  `json:"kernel_sessions"`
	UserNow        int64  `json:"userspace_sessions"`
	KernelSessions uint64 `json:"kernel_sessions_total"`
	UserSessions   uint64 `json:"userspace_sessions_total"`
}

type reasonReport struct {
	Name   string `json:"name"`
	Count  uint64 `json:"count"`
	Normal bool   `json:"normal"`
	Text   string `json:"text"`
}

type portReport struct {
	Proxy  string `json:"proxy"`
	Server string `json:"server"`
	Used   uint32 `json:"used"`
	Max    uint32 `json:"max"`
}

type mapReport struct {
	Name    string `json:"name"`
	Entries uint64 `json:"entries"`
	Max     uint64 `json:"max"`
}

// PathReport tells how the two data paths stand, for `show datapath`: as text, or in the format JSON. In the text
// only those reasons stand that have counted something. No line is empty: an empty line ends an answer of the Runtime API.
func PathReport(s *Snapshot, f Format) []byte {
	r := newPathReport(s)
	if f == JSON {
		text, err := json.Marshal(r)
		if err != nil {
			return []byte(err.Error() + "\n") // not to be had: the report has nothing that cannot be marshalled
		}
		return append(text, '\n')
	}
	return r.text()
}

func newPathReport(s *Snapshot) *pathReport {
	d := &s.Datapath
	r := &pathReport{Mode: d.Mode, Degraded: append([]string{}, d.Degraded...), Interfaces: []ifaceReport{},
		Frontends: []frontendReport{}, Reasons: []reasonReport{}, Maps: []mapReport{}, Ports: []portReport{}, Runs: d.Runs}
	if d.Runs > 0 {
		r.RunNs = int64(d.RunTime/time.Nanosecond) / int64(d.Runs)
	}
	for _, i := range d.Interfaces {
		r.Interfaces = append(r.Interfaces, ifaceReport(i))
	}
	for i := range s.Proxies {
		fe := s.Proxies[i].Frontend
		if fe == nil {
			continue
		}
		path := fe.Path()
		f := frontendReport{Name: fe.Name, Path: "userspace", Reason: path.Reason, KernelNow: fe.Sessions.Kernel(), UserNow: fe.Sessions.User()}
		if path.Kernel {
			f.Path = "kernel"
		}
		f.KernelSessions, f.UserSessions = sessionsByPath(&fe.Counters)
		r.Frontends = append(r.Frontends, f)
	}
	for _, x := range d.Reasons {
		r.Reasons = append(r.Reasons, reasonReport{Name: x.Name, Count: x.Count, Normal: x.Expected, Text: x.Text})
	}
	for _, m := range d.Maps {
		r.Maps = append(r.Maps, mapReport(m))
	}
	for _, p := range d.SourcePorts {
		r.Ports = append(r.Ports, portReport(p))
	}
	return r
}

func (r *pathReport) text() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# mode: %s\n", r.Mode)
	for _, i := range r.Interfaces {
		fmt.Fprintf(&b, "# attached to %s by %s\n", i.Name, i.Attach)
		if i.WithoutXDP != "" {
			fmt.Fprintf(&b, "# no XDP on %s: %s\n", i.Name, i.WithoutXDP)
		}
	}
	for _, line := range r.Degraded {
		fmt.Fprintf(&b, "# degraded: %s\n", line)
	}
	if r.RunNs > 0 {
		fmt.Fprintf(&b, "# %d packets, %d ns each\n", r.Runs, r.RunNs)
	}
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "# frontend\tpath\tkernel now\ttotal\tuserspace now\ttotal\treason")
	for _, f := range r.Frontends {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%s\n", f.Name, f.Path, f.KernelNow, f.KernelSessions, f.UserNow, f.UserSessions, f.Reason)
	}
	_ = t.Flush() // to memory
	if len(r.Maps) > 0 {
		fmt.Fprintln(t, "# map\tentries\troom for")
		for _, m := range r.Maps {
			fmt.Fprintf(t, "%s\t%d\t%d\n", m.Name, m.Entries, m.Max)
		}
		_ = t.Flush()
	}
	if len(r.Ports) > 0 {
		fmt.Fprintln(t, "# server\tsource ports used\tof")
		for _, p := range r.Ports {
			fmt.Fprintf(t, "%s/%s\t%d\t%d\n", p.Proxy, p.Server, p.Used, p.Max)
		}
		_ = t.Flush()
	}
	header := "# packets\tleft or dropped for\tnormal\tmeaning\n"
	for _, x := range r.Reasons {
		if x.Count > 0 {
			fmt.Fprintf(t, "%s%d\t%s\t%s\t%s\n", header, x.Count, x.Name, yesNo(x.Normal), x.Text)
			header = ""
		}
	}
	_ = t.Flush()
	return []byte(b.String())
}
