package stats

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
)

// cells are the values of one rendering, by the type, proxy and number of an object and the name of a column.
type cells map[string]string

func place(scope Scope, proxy, id any, column string) string {
	return fmt.Sprintf("%c.%v.%v.%s", scope.Letter(), proxy, id, column)
}

func scopeOf(code string) Scope {
	return map[string]Scope{"0": Frontends, "1": Backends, "2": Servers, "3": Listeners}[code]
}

func csvCells(t *testing.T, text string) cells {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(text, "# "))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, name := range lines[0] {
		at[name] = i
	}
	all := cells{}
	for _, line := range lines[1:] {
		for i, cell := range line {
			if cell != "" && lines[0][i] != "-" {
				all[place(scopeOf(line[at["type"]]), line[at["iid"]], line[at["sid"]], lines[0][i])] = cell
			}
		}
	}
	return all
}

func typedCells(text string) cells {
	all := cells{}
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 4)
		where := strings.Split(parts[0], ".")
		if parts[3] == "" { // a text that is there and empty: CSV cannot tell
			continue
		}
		all[strings.Join([]string{where[0], where[1], where[2], where[4]}, ".")] = parts[3]
	}
	return all
}

// TestRenderingsOfOneSnapshotAgree holds CSV, typed, Prometheus and HTML against each other, cell by cell; JSON and typed are
// held against each other elsewhere.
func TestRenderingsOfOneSnapshotAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := withListeners()
		want := csvCells(t, string(Proxies(s, Plain, Filter{Legends: true})))
		typed := typedCells(string(Proxies(s, Typed, Filter{Legends: true})))
		if len(want) != len(typed) || len(want) < 500 {
			t.Errorf("%d cells of CSV, %d typed", len(want), len(typed))
		}
		for where, cell := range want {
			if typed[where] != cell {
				t.Errorf("%s is %q in CSV, %q typed", where, cell, typed[where])
			}
		}
		pageAgrees(t, s, want)
		metricsAgree(t, s, want)
	})
}

// pageAgrees compares what the page shows as a plain number.
func pageAgrees(t *testing.T, s *Snapshot, want cells) {
	rows := Rows(s, Filter{Legends: true})
	var lines [][]string
	columns := 0
	for _, g := range groups() {
		columns += len(g.Columns)
	}
	for _, tr := range elements(document(t, get(s, statsProxy(), "/my-stats")), "tr") {
		var texts []string
		for c := range tr.ChildNodes() {
			if c.Data == "td" {
				texts = append(texts, textOf(c))
			}
		}
		if len(texts) == columns {
			lines = append(lines, texts)
		}
	}
	if len(lines) != len(rows) {
		t.Fatalf("%d rows on the page, %d in all", len(lines), len(rows))
	}
	compared := 0
	for i := range rows {
		r, at := &rows[i], 0
		for _, g := range groups() {
			for _, col := range g.Columns {
				shown := lines[i][at]
				at++
				if col.Statistic == "" || col.Form != asNumber {
					continue
				}
				cell := want[place(r.Scope, r.ProxyID(), r.ID(), col.Statistic)]
				if got := strings.Map(digits, shown); got != cell {
					t.Errorf("%s/%s %s is %q on the page, %q in CSV", r.ProxyName(), r.Name(), col.Statistic, shown, cell)
				}
				compared++
			}
		}
	}
	if compared < 200 {
		t.Errorf("only %d cells were compared", compared)
	}
}

// digits drops what groups the digits of a number.
func digits(r rune) rune {
	if r == '-' || '0' <= r && r <= '9' {
		return r
	}
	return -1
}

// metricsAgree compares the series that are a column's value.
func metricsAgree(t *testing.T, s *Snapshot, want cells) {
	families := scrape(t, s, "/metrics")
	rows := Rows(s, Filter{Legends: true})
	compared := 0
	for i := range rows {
		r := &rows[i]
		for _, c := range Columns() {
			cell, there := want[place(r.Scope, r.ProxyID(), r.ID(), c.Name)]
			if c.Metric == "" || c.States != nil || !there || c.Value == nil {
				continue
			}
			labels := []string{"proxy=" + r.ProxyName()}
			if r.Scope == Servers {
				labels = append(labels, "server="+r.Name())
			}
			if r.Scope == Listeners {
				labels = append(labels, "listener="+r.Name())
			}
			if c.Label[0] != "" {
				labels = append(labels, c.Label[0]+"="+c.Label[1])
			}
			v, ok := value(families, "haproxy_"+prefixes()[r.Scope]+"_"+c.Metric, labels...)
			if c.Unit == "ms" {
				v = float64(int(v*1000 + 1e-6))
			}
			if !ok || fmt.Sprint(int64(v)) != cell {
				t.Errorf("%s/%s %s is %v (%v) in Prometheus, %q in CSV", r.ProxyName(), r.Name(), c.Name, v, ok, cell)
			}
			compared++
		}
	}
	if compared < 200 {
		t.Errorf("only %d series were compared", compared)
	}
}
