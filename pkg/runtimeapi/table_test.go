package runtimeapi

import (
	"strings"
	"testing"
	"time"

	"waggle/pkg/stick"
)

func TestTables(t *testing.T) {
	cfg := stick.Config{Name: "web", Type: "ip", Size: 10, Expire: time.Minute}
	cfg.Stores[stick.HTTPReqCnt], cfg.Stores[stick.HTTPReqRate] = true, true
	cfg.Period[stick.HTTPReqRate] = 10 * time.Second
	table := stick.New(cfg)
	for _, key := range []string{"192.0.2.1", "192.0.2.2"} {
		e := table.Track([]byte(key))
		table.Add(e, 3, stick.HTTPReqCnt, stick.HTTPReqRate)
		table.Release(e)
	}
	table.SetServer([]byte("192.0.2.2"), stick.Server{ID: 7, Name: "s7"})
	s := New(fixed{balancer()}, Options{Tables: func() []*stick.Table { return []*stick.Table{table} }})
	c := &session{server: s, level: Operator}
	if got := showTable(c, nil); got != "# table: web, type: ip, size:10, used:2\n" {
		t.Errorf("all tables: %q", got)
	}
	got := showTable(c, []string{"web"})
	for _, want := range []string{": key=192.0.2.1 use=0 exp=", " http_req_cnt=3 http_req_rate(10000)=3\n", " server_id=7 http_req_cnt=3 http_req_rate(10000)=3 server_key=s7\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not hold %q", got, want)
		}
	}
	for filter, want := range map[string]string{
		"data.http_req_cnt eq 3": "12", "data.http_req_cnt ne 3": "", "data.http_req_cnt ge 4": "", "data.http_req_cnt le 3": "12",
		"data.http_req_cnt lt 3": "", "data.http_req_cnt gt 2": "12", "data.http_req_cnt gt 2 data.http_req_rate lt 3": "", "key 192.0.2.2": "2",
	} {
		keys := ""
		for line := range strings.Lines(showTable(c, append([]string{"web"}, strings.Fields(filter)...))) {
			if _, rest, found := strings.Cut(line, "key=192.0.2."); found {
				keys += rest[:1]
			}
		}
		if keys != want {
			t.Errorf("%s gives the entries %q, want %q", filter, keys, want)
		}
	}
	if got := showTable(c, []string{"web", "key", "192.0.2.9"}); got != "" {
		t.Errorf("a key that is not there: %q", got)
	}
	if got := showTable(c, []string{"other"}); got != "No such table\n" {
		t.Errorf("another table: %q", got)
	}
	if got := clearTable(c, []string{"web", "key", "192.0.2.1"}); got != "" || table.Used() != 1 {
		t.Errorf("%q, %d are left", got, table.Used())
	}
	if got := clearTable(c, []string{"web"}); got != "" || table.Used() != 0 {
		t.Errorf("%q, %d are left", got, table.Used())
	}
	for _, args := range [][]string{nil, {"other"}} {
		if clearTable(c, args) != "No such table\n" {
			t.Errorf("clear table %v", args)
		}
	}
}
