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
