package drive

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"waggle/test/bench/report"
)

// WriteTables shows the results on a terminal.
func (r Report) WriteTables(w io.Writer) error {
	return r.write(w, func(t *report.Table, w io.Writer) { t.Text(w) })
}

// WriteDocs puts the tables into a directory's rolling-updates.md, and the raw results beside it.
func (r Report) WriteDocs(dir string) error {
	var text bytes.Buffer
	if err := r.write(&text, func(t *report.Table, w io.Writer) { t.Markdown(w) }); err != nil {
		return err
	}
	page := filepath.Join(dir, "rolling-updates.md")
	content, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	document, err := report.Replace(string(content), "soak", text.String())
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	raw, err := CreateReport(filepath.Join(dir, "rolling-updates.jsonl"), false, r.Setup)
	if err != nil {
		return err
	}
	for _, result := range r.Results {
		err = errors.Join(err, raw.Add(result))
	}
	if err := errors.Join(err, raw.Close()); err != nil {
		return err
	}
	return os.WriteFile(page, []byte(document), 0o644)
}

func (r Report) write(w io.Writer, table func(*report.Table, io.Writer)) error {
	var out bytes.Buffer
	fmt.Fprintf(&out, "Begun on %s; %d CPUs, Linux %s, Docker Engine %s; %s; %s.\n",
		r.Setup.Began.Format("2 January 2006"), r.Setup.CPUs, r.Setup.Kernel, r.Setup.Engine, r.Setup.Waggle, r.Setup.HAProxy)
	updates := slices.DeleteFunc(slices.Clone(r.Results), func(x Result) bool { return x.Act != "update" })
	for _, part := range []struct {
		title string
		table *report.Table
	}{
		{fmt.Sprintf("%d rolling updates", len(updates)), totals(updates)},
		{"What failed, by event: HTTP requests + new TCP connections", r.byEvent(func(s sum) string { return count(s.failed) })},
		{"What was slow, by event: HTTP requests + new TCP connections", r.byEvent(func(s sum) string { return count(s.slow) })},
		{"How it failed", r.reasons()},
	} {
		fmt.Fprintf(&out, "\n**%s**\n\n", part.title)
		table(part.table, &out)
	}
	_, err := out.WriteTo(w)
	return err
}

// totals is a line for each contender.
func totals(results []Result) *report.Table {
	t := &report.Table{Header: []string{
		"", "HTTP requests", "failed", "slow", "new TCP connections", "failed", "slow", "held connections lost", "sent after SIGTERM", "p99 ms, worst update",
	}}
	for _, c := range Contenders() {
		var web, tcp, held sum
		late, p99 := 0, 0.0
		for _, r := range results {
			web.plus(r.total(c.Name, isHTTP))
			tcp.plus(r.total(c.Name, isTCP))
			held.plus(r.total(c.Name, isHeld))
			late += r.late(c.Name).Connections + r.late(c.Name).Requests
			for _, cell := range r.Cells {
				if cell.Contender == c.Name && laneOf(cell.Lane).takes == 0 && laneOf(cell.Lane).Goal {
					p99 = max(p99, cell.P99MS)
				}
			}
		}
		if web.exchanges == 0 {
			continue
		}
		t.Add(c.Title, fmt.Sprint(web.exchanges), count(web.failed), count(web.slow), fmt.Sprint(tcp.exchanges), count(tcp.failed),
			count(tcp.slow), count(held.failed), count(late), fmt.Sprintf("%.0f", p99))
	}
	return t
}

// byEvent is a line for each kind of event: HTTP requests + TCP connections of each contender.
func (r Report) byEvent(show func(sum) string) *report.Table {
	var titles []string
	events := make(map[string][]Result)
	seen := make(map[string]bool)
	for _, result := range r.Results {
		title := result.Title()
		if result.Empty {
			title += ": no task for a while"
		}
		if events[title] == nil {
			titles = append(titles, title)
		}
		events[title] = append(events[title], result)
		for _, c := range result.contenders() {
			seen[c] = true
		}
	}
	t := &report.Table{Header: []string{"event, tasks", "times"}}
	for _, c := range Contenders() {
		if seen[c.Name] {
			t.Header = append(t.Header, c.Title)
		}
	}
	for _, title := range titles {
		row := []string{title, fmt.Sprint(len(events[title]))}
		for _, c := range Contenders() {
			if !seen[c.Name] {
				continue
			}
			var web, tcp sum
			for _, result := range events[title] {
				web.plus(result.total(c.Name, isHTTP))
				tcp.plus(result.total(c.Name, isTCP))
			}
			row = append(row, fmt.Sprintf("%s + %s", show(web), show(tcp)))
		}
		t.Add(row...)
	}
	return t
}

// reasons is a line for each way of failing, of requests and new connections.
func (r Report) reasons() *report.Table {
	type key struct{ lane, reason string }
	counts := make(map[key]map[string]int)
	for _, result := range r.Results {
		if result.Empty {
			continue
		}
		for _, cell := range result.Cells {
			if !laneOf(cell.Lane).Goal {
				continue
			}
			for reason, n := range cell.Reasons {
				k := key{cell.Lane, reason}
				if counts[k] == nil {
					counts[k] = make(map[string]int)
				}
				counts[k][cell.Contender] += n
			}
		}
	}
	t := &report.Table{Header: []string{"load: how it failed (not while the service had no task)"}}
	for _, c := range Contenders() {
		t.Header = append(t.Header, c.Title)
	}
	keys := slices.SortedFunc(maps.Keys(counts), func(a, b key) int {
		return cmp.Or(strings.Compare(a.lane, b.lane), strings.Compare(a.reason, b.reason))
	})
	for _, k := range keys {
		row := []string{k.lane + ": " + k.reason}
		for _, c := range Contenders() {
			row = append(row, count(counts[k][c.Name]))
		}
		t.Add(row...)
	}
	return t
}

func count(n int) string { return fmt.Sprint(n) }
