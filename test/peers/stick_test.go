package peers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
)

// TestStickTablesAsHAProxy: what is counted of a client, and who is refused for it, is the same in HAProxy.
func TestStickTablesAsHAProxy(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	const text = `
global
    stats socket %[3]s level admin
` + defaults + `
frontend web
    bind %[1]s
    tcp-request connection track-sc1 src table connections
    http-request track-sc0 src table requests
    http-request track-sc2 hdr(x-key) table keys if { req.hdr(x-key) -m found }
    http-request deny deny_status 429 if { sc_http_req_rate(0) gt 4 }
    http-request deny deny_status 400 if { sc2_http_req_cnt gt 1 }
    http-request return status 202 if { path /err } { sc_http_err_cnt(0) ge 1 }
    default_backend app
backend app
    server a %[2]s
backend requests
    stick-table type ip size 1k expire 1m store http_req_cnt,http_req_rate(60s),http_err_cnt,http_err_rate(60s),conn_cnt,conn_cur
backend connections
    stick-table type ip size 1k expire 1m store conn_cnt,conn_cur,conn_rate(60s),sess_cnt,sess_rate(60s),http_req_cnt,http_err_cnt
backend keys
    stick-table type string len 4 size 10 expire 1m store http_req_cnt
`
	var told []string
	for _, contender := range []string{"waggle", "haproxy"} {
		addr, socket := labtest.FreeAddr(t).String(), filepath.Join(t.TempDir(), "s")
		config := fmt.Sprintf(text, addr, server.Listener.Addr(), socket)
		contend(t, contender, config, addr)
		var b strings.Builder
		for _, requests := range [][]string{{"/", "/missing"}, {"/err"}, {"/", "/"}, {"/"}} {
			c := dial(t, addr)
			r := bufio.NewReader(c)
			for _, path := range requests {
				key := ""
				if path == "/err" {
					key = "X-Key: abcdef\r\n"
				}
				fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", path, key)
				resp, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatalf("%s: %v", contender, err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				fmt.Fprintf(&b, "%s %d\n", path, resp.StatusCode)
			}
			c.Close()
		}
		fmt.Fprintf(&b, "%s", tables(t, socket, "requests", "connections", "keys"))
		told = append(told, b.String())
	}
	if told[0] != told[1] {
		t.Errorf("waggle:\n%s\nHAProxy:\n%s", told[0], told[1])
	}
	if !strings.Contains(told[0], "/ 429\n") || !strings.Contains(told[0], "key=abcd ") {
		t.Errorf("the tables have not worked: %s", told[0])
	}
}

// ask has a stats socket answer a command.
func ask(t *testing.T, socket, command string) string {
	t.Helper()
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintln(c, command)
	answer, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

// tables shows all tables with their entries, without what differs from run to run, when nobody is connected any more.
func tables(t *testing.T, socket string, names ...string) string {
	t.Helper()
	var all string
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		all = ""
		for _, name := range names {
			all += ask(t, socket, "show table "+name)
		}
		if !strings.Contains(all, "use=1") && !strings.Contains(all, "use=2") || time.Now().After(end) {
			break
		}
	}
	all = regexp.MustCompile(`0x[0-9a-f]+: `).ReplaceAllString(all, "")
	all = regexp.MustCompile(`size:\d+`).ReplaceAllString(all, "size:N") // 1k is 1024 entries for HAProxy
	return regexp.MustCompile(`exp=\d+|shard=\d+ `).ReplaceAllString(all, "")
}

// TestTablesOfPeersAsHAProxy: a table that names a peers section counts, and so does one that belongs to the section; binary
// keys have the form that they have in HAProxy, from texts, addresses and numbers.
func TestTablesOfPeersAsHAProxy(t *testing.T) {
	const text = `
global
    localpeer me
    stats socket %[2]s level admin
peers mates
    bind %[3]s
    server me
    table seen type ip size 1k expire 1m store conn_cnt
` + defaults + `
frontend web
    bind %[1]s
    stick-table type binary len 6 size 1k expire 1m store http_req_cnt peers mates
    http-request track-sc0 src table mates/seen
    http-request track-sc1 req.hdr(x-key)
    http-request track-sc2 req.hdr(x-ip),ipmask(32) if { req.hdr(x-ip) -m found }
    http-request track-sc2 req.hdr(x-key),length unless { req.hdr(x-ip) -m found }
    http-request deny deny_status 429 if { src_conn_cnt(mates/seen) gt 3 }
    http-request return status 200
`
	var told []string
	for _, contender := range []string{"waggle", "haproxy"} {
		addr, socket := labtest.FreeAddr(t).String(), filepath.Join(t.TempDir(), "s")
		contend(t, contender, fmt.Sprintf(text, addr, socket, labtest.FreeAddr(t)), addr)
		var b strings.Builder
		for _, header := range []string{"X-Key: a", "X-Key: abcdefgh", "X-Key: \xc3=\x7e b\r\nX-Ip: 192.0.2.1", "X-Key: a"} {
			c := dial(t, addr)
			fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", header)
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatalf("%s: %v", contender, err)
			}
			fmt.Fprintln(&b, resp.StatusCode)
			c.Close()
		}
		rows := strings.Split(tables(t, socket, "web", "mates/seen"), "\n")
		slices.Sort(rows)
		told = append(told, b.String()+strings.Join(rows, "\n"))
	}
	if told[0] != told[1] {
		t.Errorf("waggle:\n%s\nHAProxy:\n%s", told[0], told[1])
	}
	for _, want := range []string{"429", "key=610000000000 ", "key=C00002010000 ", "key=127.0.0.1 "} {
		if !strings.Contains(told[0], want) {
			t.Errorf("the tables have not worked, no %s: %s", want, told[0])
		}
	}
}
