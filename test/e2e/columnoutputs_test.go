package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// moving are columns that go on while nothing happens; connections that idle are closed after some seconds.
var moving = []string{"lastchg", "lastsess", "rate", "downtime", "srv_icur", "idle_conn_cur", "safe_conn_cur"}

// outputsAgree compares all outputs of the whole program with each other once no traffic runs, but for the frontend that is
// asked and its own numbers.
func (b *columnsLab) outputsAgree() {
	b.t.Helper()
	page := func(path string) string {
		status, body, err := b.get(statsPort, path)
		if err != nil || status != 200 {
			b.t.Errorf("%s: status %d, %v", path, status, err)
		}
		return body
	}
	socket := func(command string) string {
		text, err := b.runtime(command)
		if err != nil {
			b.t.Errorf("%s: %v", command, err)
		}
		return text
	}
	time.Sleep(2200 * time.Millisecond) // rates are of whole seconds
	want := settled(typedValues(socket("show stat typed")))
	for name, got := range map[string]map[string]string{
		";typed":         typedValues(page("/?;typed")),
		"show stat":      csvValues(socket("show stat")),
		";csv":           csvValues(page("/?;csv")),
		"show stat json": jsonValues(socket("show stat json")),
		";json":          jsonValues(page("/?;json")),
	} {
		got = settled(got)
		if len(got) != len(want) || len(want) < 500 {
			b.t.Errorf("%s has %d values, show stat typed %d", name, len(got), len(want))
		}
		for where, v := range want {
			if got[where] != v {
				b.t.Errorf("%s: %s is %q, %q in show stat typed", name, where, got[where], v)
			}
		}
	}
	b.metricsAgree(page("/metrics"), want)
}

// metricsAgree looks for a counter of each kind of object among the metrics.
func (b *columnsLab) metricsAgree(metrics string, want map[string]string) {
	b.t.Helper()
	names := map[string]string{"stot": "sessions_total", "bin": "bytes_in_total", "bout": "bytes_out_total", "cli_abrt": "client_aborts_total", "econ": "connection_errors_total"}
	compared := 0
	for where, v := range want {
		row, column, _ := strings.Cut(where, " ")
		proxy, name, _ := strings.Cut(row, "/")
		metric, ok := names[column]
		if !ok {
			continue
		}
		line := fmt.Sprintf("haproxy_server_%s{proxy=%q,server=%q} %s\n", metric, proxy, name, v)
		if want[row+" type"] == "3" {
			line = fmt.Sprintf("haproxy_listener_%s{listener=%q,proxy=%q} %s\n", metric, name, proxy, v)
		}
		if name == "FRONTEND" || name == "BACKEND" {
			line = fmt.Sprintf("haproxy_%s_%s{proxy=%q} %s\n", strings.ToLower(name), metric, proxy, v)
		}
		if !strings.Contains(metrics, "\n"+line) && len(v) < 7 { // larger ones are written with an exponent
			b.t.Errorf("/metrics has no line %s", line)
		}
		compared++
	}
	if compared < 50 {
		b.t.Errorf("%d metrics were compared", compared)
	}
}

// settled leaves out what moves on, and who is asked.
func settled(all map[string]string) map[string]string {
	for where := range all {
		row, column, _ := strings.Cut(where, " ")
		if strings.HasPrefix(row, "stats_in/") || slices.Contains(moving, column) {
			delete(all, where)
		}
	}
	return all
}

// typedValues reads the typed format: values by "proxy/server column".
func typedValues(text string) map[string]string {
	names, all := map[string][2]string{}, map[string]string{}
	type value struct{ object, column, text string }
	var values []value
	for line := range strings.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 4)
		where := strings.Split(parts[0], ".")
		if len(parts) < 4 || len(where) < 5 {
			continue
		}
		object := strings.Join(where[:3], ".")
		n := names[object]
		switch where[4] {
		case "pxname":
			n[0] = parts[3]
		case "svname":
			n[1] = parts[3]
		}
		names[object] = n
		values = append(values, value{object, where[4], parts[3]})
	}
	for _, v := range values {
		n := names[v.object]
		all[n[0]+"/"+n[1]+" "+v.column] = v.text
	}
	return all
}

func csvValues(text string) map[string]string {
	all := map[string]string{}
	var columns []string
	for line := range strings.Lines(strings.TrimPrefix(text, "# ")) {
		cells := strings.Split(strings.TrimRight(line, ",\n"), ",")
		if columns == nil {
			columns = cells
			continue
		}
		for i, cell := range cells {
			if cell != "" && cell != "-" {
				all[cells[0]+"/"+cells[1]+" "+columns[i]] = strings.Trim(cell, `"`)
			}
		}
	}
	return all
}

func jsonValues(text string) map[string]string {
	var objects [][]struct {
		Field struct{ Name string }
		Value struct{ Value any }
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	all := map[string]string{}
	if err := d.Decode(&objects); err != nil {
		return map[string]string{"": err.Error()}
	}
	for _, o := range objects {
		row := fmt.Sprint(o[0].Value.Value, "/", o[1].Value.Value)
		for _, c := range o {
			all[row+" "+c.Field.Name] = fmt.Sprint(c.Value.Value)
		}
	}
	return all
}
