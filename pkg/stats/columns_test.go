package stats

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"

	"waggle/pkg/pool"
)

// known is a line of testdata/columns.txt: what HAProxy has at a position.
type known struct{ name, metric, kinds string }

func knownColumns(t *testing.T) []known {
	t.Helper()
	f, err := os.Open("testdata/columns.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []known
	for in := bufio.NewScanner(f); in.Scan(); {
		w := strings.Fields(in.Text())
		if w[0] == "#" {
			continue
		}
		if w[0] != strconv.Itoa(len(all)) {
			t.Fatalf("testdata/columns.txt: position %s at line %d", w[0], len(all))
		}
		all = append(all, known{w[1], w[2], w[3]})
	}
	return all
}

// kinds writes scopes as HAProxy does: LFBS with _ for what is missing.
func kinds(s Scope) string {
	out := []byte("____")
	for i, k := range []Scope{Listeners, Frontends, Backends, Servers} {
		if s&k != 0 {
			out[i] = "LFBS"[i]
		}
	}
	return string(out)
}

// TestColumnsAreHAProxys compares the table with HAProxy's: a tool may go by position, name, metric or
// by which objects have a value.
func TestColumnsAreHAProxys(t *testing.T) {
	want, got := knownColumns(t), Columns()
	if len(got) != len(want) || len(got) != 113 {
		t.Fatalf("%d columns, want %d", len(got), len(want))
	}
	for i, w := range want {
		c := &got[i]
		metric := c.Metric
		if metric == "" {
			metric = "-"
		}
		if c.Name != w.name || metric != w.metric {
			t.Errorf("position %d is %s (%s), want %s (%s)", i, c.Name, metric, w.name, w.metric)
		}
		if w.kinds != "-" && kinds(c.Scopes) != w.kinds {
			t.Errorf("%s is of %s, want %s", c.Name, kinds(c.Scopes), w.kinds)
		}
	}
}

// TestColumnsAreWhole checks what every declaration owes: a sentence, tags, and a value of its type and
// unit on the rows of its scopes and nothing elsewhere.
func TestColumnsAreWhole(t *testing.T) {
	rows := append(Rows(swarm(), Filter{Legends: true}), Rows(watched(), Filter{Legends: true})...)
	columns := Columns()
	for i := range columns {
		c := &columns[i]
		if !strings.HasSuffix(c.Help, ".") || len(c.Tags) != 3 || c.Scopes == 0 {
			t.Errorf("%s: help %q, tags %q, scopes %b", c.Name, c.Help, c.Tags, c.Scopes)
		}
		c.Tags.Words() // panics on a letter that it does not know
		if c.Tags.counts() && c.Metric != "" && !strings.HasSuffix(c.Metric, "_total") {
			t.Errorf("%s is a counter, its metric %q does not end so", c.Name, c.Metric)
		}
		seen := false
		for j := range rows {
			r := &rows[j]
			v := c.Cell(r)
			if v.Empty() {
				continue
			}
			seen = true
			if c.Scopes&r.Scope == 0 || c.HTTP && r.Mode != pool.HTTP {
				t.Errorf("%s has a value on %s %s", c.Name, r.Scope.Word(), r.Name())
			}
			if (v.kind == text) != (c.Type == Str) {
				t.Errorf("%s is declared %s and has the value %q", c.Name, c.Type, v)
			}
			if (v.kind == span) != (c.Unit == "ms") {
				t.Errorf("%s is declared in %q and has the value %#v", c.Name, c.Unit, v)
			}
		}
		counted := c.Value != nil
		if never := map[string]bool{"check_code": true}; counted && !seen && !never[c.Name] {
			t.Errorf("%s has no value on any row of the fixture", c.Name)
		}
	}
}

// TestLegendsAreHidden makes sure that addresses, cookies and algorithms need leave to be told.
func TestLegendsAreHidden(t *testing.T) {
	columns := Columns()
	for _, legends := range []bool{false, true} {
		told := map[string]bool{}
		rows := Rows(swarm(), Filter{Legends: legends})
		for i := range rows {
			for j := range columns {
				if c := &columns[j]; c.Legend && !c.Cell(&rows[i]).Empty() {
					told[c.Name] = true
				}
			}
		}
		for _, name := range []string{"addr", "cookie", "algo"} {
			if told[name] != legends {
				t.Errorf("legends %v: %s is told: %v", legends, name, told[name])
			}
		}
	}
}

func TestProcessFields(t *testing.T) {
	want := map[string]int{"Name": 0, "Version": 1, "Pid": 6, "Uptime_sec": 8, "Maxconn": 15, "CurrConns": 17, "ConnRate": 26,
		"Idle_pct": 49, "node": 50, "Stopping": 52, "TotalBytesOut": 61, "Build info": 66, "Start_time_sec": 70, "BlockedTrafficWarnings": 78}
	fields := processFields()
	for name, pos := range want {
		if pos >= len(fields) || fields[pos].Name != name {
			t.Errorf("position %d is not %s", pos, name)
		}
	}
	if len(fields) != 81 {
		t.Errorf("%d fields, want HAProxy's 79 and two", len(fields))
	}
	for _, f := range fields {
		if f.Value != nil && f.Help == "" {
			t.Errorf("%s does not explain itself", f.Name)
		}
	}
}
