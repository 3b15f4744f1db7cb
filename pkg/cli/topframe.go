package cli

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"
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

// topColumn is a number of each line, right-aligned.
type topColumn struct {
	title string
	cell  func(r *topLine) string
	drop  int // narrow terminals do without the columns that have a number here, the lowest first
}

func topColumns() []topColumn {
	rate := func(title string, drop int, of func(r *topLine) float64) topColumn {
		return topColumn{title, func(r *topLine) string { return brief(of(r)) }, drop}
	}
	return []topColumn{
		{"STATUS", func(r *topLine) string { return r.Status }, 0},
		{"SESSIONS", func(r *topLine) string { return strconv.FormatUint(r.Sessions, 10) }, 0},
		rate("NEW/S", 0, func(r *topLine) float64 { return r.NewSessions }),
		{"KERNEL", (*topLine).kernelShare, 3},
		rate("REQ/S", 4, func(r *topLine) float64 { return r.Requests }),
		rate("IN/S", 1, func(r *topLine) float64 { return r.In }),
		rate("OUT/S", 2, func(r *topLine) float64 { return r.Out }),
		{"QUEUED", func(r *topLine) string { return strconv.FormatUint(r.Queued, 10) }, 5},
		rate("ERR/S", 0, func(r *topLine) float64 { return r.Errors }),
		rate("5XX/S", 0, func(r *topLine) float64 { return r.Responses5 }),
	}
}

func (r *topLine) kernelShare() string {
	if r.Kernel == nil {
		return "-"
	}
	return fmt.Sprintf("%.0f%%", 100**r.Kernel)
}

// lines draws the frame for a terminal of a width and a height, 0 for one without end: of what finds no room the quietest
// lines and the least needed columns are left out.
func (f *topFrame) lines(colours bool, width, height int) []string {
	head := "kernel path: " + f.Mode
	if f.EmptySlot > 0 {
		head += fmt.Sprintf("   %d empty slots not shown", f.EmptySlot)
	}
	lines := []string{head}
	for _, d := range f.Degraded {
		lines = append(lines, paint(colours, "degraded: "+d, yellow))
	}
	rows := f.Rows
	if room := height - len(lines) - 2; height > 0 && len(rows) > room { // below an empty line and the titles
		rows = busiest(rows, max(room-1, 0))
	}
	lines = append(lines, "")
	table := drawTop(rows, width)
	lines = append(lines, table[0])
	for i, line := range table[1:] {
		lines = append(lines, paint(colours, line, rows[i].colour()))
	}
	if hidden := len(f.Rows) - len(rows); hidden > 0 {
		lines = append(lines, fmt.Sprintf("… and %d quieter ones", hidden))
	}
	return lines
}

// drawTop makes a table of rows below their titles, without columns that a terminal of that width has no room for.
func drawTop(rows []topLine, width int) []string {
	columns := topColumns()
	for next := 1; ; next++ {
		table := drawColumns(rows, columns)
		i := slices.IndexFunc(columns, func(c topColumn) bool { return c.drop == next })
		if width == 0 || utf8.RuneCountInString(table[0]) <= width || i < 0 {
			for i := range rows {
				address := rows[i].Address
				if fits := width == 0 || utf8.RuneCountInString(table[i+1])+2+len(address) <= width; address != "" && fits {
					table[i+1] += "  " + address
				}
			}
			return table
		}
		columns = slices.Delete(columns, i, i+1)
	}
}

func drawColumns(rows []topLine, columns []topColumn) []string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, c := range columns {
		fmt.Fprint(t, c.title, "\t")
	}
	names := len("NAME")
	for i := range rows {
		fmt.Fprintln(t)
		for _, c := range columns {
			fmt.Fprint(t, c.cell(&rows[i]), "\t")
		}
		names = max(names, len(rows[i].label()))
	}
	fmt.Fprintln(t)
	_ = t.Flush() // to memory
	table := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
	for i := range table {
		name := "NAME"
		if i > 0 {
			name = rows[i-1].label()
		}
		table[i] = fmt.Sprintf("%-*s%s", names, name, table[i])
	}
	return table
}

// busiest keeps n rows, in their order: those with errors, then those with the most to do, then those that are down.
func busiest(rows []topLine, n int) []topLine {
	kept := make([]int, len(rows))
	for i := range kept {
		kept[i] = i
	}
	slices.SortStableFunc(kept, func(a, b int) int { return cmp.Compare(rows[b].activity(), rows[a].activity()) })
	kept = kept[:min(n, len(kept))]
	slices.Sort(kept)
	out := make([]topLine, len(kept))
	for i, at := range kept {
		out[i] = rows[at]
	}
	return out
}

func (r *topLine) activity() float64 {
	score := r.NewSessions + r.Requests + float64(r.Sessions) + 10*float64(r.Queued) + 1000*(r.Errors+r.Responses5)
	if strings.HasPrefix(r.Status, "DOWN") {
		score += 0.01
	}
	return score
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
