package cli

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// topSample is one look at the running waggle.
type topSample struct {
	at   time.Time
	rows []topCounts
	path topPath
}

// topCounts are the cells of a line of `show stat` that matter here.
type topCounts struct {
	proxy, name, status, addr   string
	now, queued                 uint64
	sessions, requests, in, out uint64
	failed, serverErrors        uint64
}

// topPath is what matters of `show datapath json`.
type topPath struct {
	Mode      string   `json:"mode"`
	Degraded  []string `json:"degraded"`
	Frontends []struct {
		Name   string `json:"name"`
		Kernel uint64 `json:"kernel_sessions_total"`
		User   uint64 `json:"userspace_sessions_total"`
	} `json:"frontends"`
}

// parseTopSample reads the answers to `show stat` and `show datapath json`.
func parseTopSample(at time.Time, stat, path io.Reader) (*topSample, error) {
	s := &topSample{at: at}
	rows, err := csv.NewReader(stat).ReadAll()
	switch {
	case err != nil:
		return nil, fmt.Errorf("read statistics: %w", err)
	case len(rows) == 0:
		return nil, errors.New("waggle has answered nothing")
	}
	if err := json.NewDecoder(path).Decode(&s.path); err != nil {
		return nil, fmt.Errorf("read state of the kernel path: %w", err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[strings.TrimPrefix(name, "# ")] = i
	}
	for _, row := range rows[1:] {
		text := func(name string) string {
			if i, ok := column[name]; ok && i < len(row) {
				return row[i]
			}
			return ""
		}
		number := func(name string) uint64 {
			n, _ := strconv.ParseUint(text(name), 10, 64) // an empty cell is none
			return n
		}
		s.rows = append(s.rows, topCounts{
			proxy: text("pxname"), name: text("svname"), status: text("status"), addr: text("addr"),
			now: number("scur"), queued: number("qcur"), sessions: number("stot"), requests: number("req_tot"),
			in: number("bin"), out: number("bout"), failed: number("econ") + number("eresp"), serverErrors: number("hrsp_5xx"),
		})
	}
	return s, nil
}

// topFrame is what has happened between two looks; its JSON form has rates a second.
type topFrame struct {
	Mode      string    `json:"mode"`
	Degraded  []string  `json:"degraded,omitempty"`
	Rows      []topLine `json:"rows"`
	EmptySlot int       `json:"empty_slots"`
}

// topLine is one frontend, server or backend.
type topLine struct {
	Proxy       string   `json:"proxy"`
	Name        string   `json:"name"`
	Status      string   `json:"status"`
	Sessions    uint64   `json:"sessions"`
	Queued      uint64   `json:"queued"`
	NewSessions float64  `json:"new_sessions_per_second"`
	Kernel      *float64 `json:"kernel_share,omitempty"` // of the new sessions; frontends only
	Requests    float64  `json:"requests_per_second"`
	In          float64  `json:"bytes_in_per_second"`
	Out         float64  `json:"bytes_out_per_second"`
	Errors      float64  `json:"errors_per_second"`
	Responses5  float64  `json:"responses_5xx_per_second"`
	Address     string   `json:"address,omitempty"`
}

// emptySlot is the status of a slot that DNS has no task for: of those only the number is shown.
const emptySlot = "MAINT (resolution)"

// compareTop makes rates of two looks. What was not there before, or has been counted anew since, begins at zero.
func compareTop(before, now *topSample) *topFrame {
	f := &topFrame{Mode: now.path.Mode, Degraded: now.path.Degraded, Rows: []topLine{}}
	seconds := now.at.Sub(before.at).Seconds()
	old := map[[2]string]topCounts{}
	for _, r := range before.rows {
		old[[2]string{r.proxy, r.name}] = r
	}
	rate := func(was, is uint64) float64 {
		if is < was || seconds <= 0 {
			return 0
		}
		return float64(is-was) / seconds
	}
	for _, r := range now.rows {
		if r.status == emptySlot {
			f.EmptySlot++
			continue
		}
		was, known := old[[2]string{r.proxy, r.name}]
		if !known {
			was = r
		}
		line := topLine{Proxy: r.proxy, Name: r.name, Status: r.status, Sessions: r.now, Queued: r.queued, Address: r.addr,
			NewSessions: rate(was.sessions, r.sessions), Requests: rate(was.requests, r.requests), In: rate(was.in, r.in), Out: rate(was.out, r.out),
			Errors: rate(was.failed, r.failed), Responses5: rate(was.serverErrors, r.serverErrors)}
		if r.name == "FRONTEND" {
			line.Kernel = kernelShare(&before.path, &now.path, r.proxy)
		}
		f.Rows = append(f.Rows, line)
	}
	return f
}

// kernelShare is the part of a frontend's new sessions that the kernel path took; nil if there was none.
func kernelShare(before, now *topPath, frontend string) *float64 {
	var kernel, all float64
	for _, n := range now.Frontends {
		if n.Name != frontend {
			continue
		}
		kernel, all = float64(n.Kernel), float64(n.Kernel+n.User)
		for _, b := range before.Frontends {
			if b.Name == frontend {
				kernel -= float64(b.Kernel)
				all -= float64(b.Kernel + b.User)
			}
		}
	}
	if all <= 0 || kernel < 0 {
		return nil
	}
	share := kernel / all
	return &share
}

// lines draws the frame, a proxy a paragraph.
func (f *topFrame) lines(colours bool) []string {
	head := "kernel path: " + f.Mode
	if f.EmptySlot > 0 {
		head += fmt.Sprintf("   %d empty slots not shown", f.EmptySlot)
	}
	lines := []string{head}
	for _, d := range f.Degraded {
		lines = append(lines, paint(colours, "degraded: "+d, yellow))
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "STATUS\tSESSIONS\tNEW/S\tKERNEL\tREQ/S\tIN/S\tOUT/S\tQUEUED\tERR/S\t5XX/S\t")
	for _, r := range f.Rows {
		share := "-"
		if r.Kernel != nil {
			share = fmt.Sprintf("%.0f%%", 100**r.Kernel)
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t\n", r.Status, r.Sessions, brief(r.NewSessions), share, brief(r.Requests),
			brief(r.In), brief(r.Out), r.Queued, brief(r.Errors), brief(r.Responses5))
	}
	_ = t.Flush() // to memory
	numbers := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	width := len("NAME")
	for _, r := range f.Rows {
		width = max(width, len(r.label()))
	}
	lines = append(lines, "", fmt.Sprintf("%-*s%s", width, "NAME", numbers[0]))
	for i, r := range f.Rows {
		line := fmt.Sprintf("%-*s%s", width, r.label(), numbers[i+1])
		if r.Address != "" {
			line += "  " + r.Address
		}
		lines = append(lines, paint(colours, line, r.colour()))
	}
	return lines
}

func (r *topLine) label() string {
	switch r.Name {
	case "FRONTEND":
		return "frontend " + r.Proxy
	case "BACKEND":
		return "backend " + r.Proxy
	default:
		return "  " + r.Proxy + "/" + r.Name
	}
}

// Colours of ECMA-48; each state is also a word.
const (
	plain  = ""
	red    = "31"
	yellow = "33"
	dim    = "2"
)

func (r *topLine) colour() string {
	switch {
	case strings.HasPrefix(r.Status, "DOWN"), r.Responses5 > 0, r.Errors > 0:
		return red
	case strings.HasPrefix(r.Status, "MAINT"):
		return dim
	case strings.HasPrefix(r.Status, "UP "), strings.HasPrefix(r.Status, "DRAIN"), strings.HasPrefix(r.Status, "NOLB"), r.Queued > 0:
		return yellow
	default:
		return plain
	}
}

func paint(colours bool, line, colour string) string {
	if !colours || colour == plain {
		return line
	}
	return "\x1b[" + colour + "m" + line + "\x1b[0m"
}

// brief writes a rate in at most five characters.
func brief(v float64) string {
	if v == 0 {
		return "0"
	}
	for _, unit := range []string{"", "k", "M", "G"} {
		switch {
		case v < 9.95:
			return strconv.FormatFloat(v, 'f', 1, 64) + unit
		case v < 999.5:
			return strconv.FormatFloat(v, 'f', 0, 64) + unit
		}
		v /= 1000
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + "T"
}
