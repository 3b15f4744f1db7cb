package e2e

import (
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
)

// columnsConfig is one that HAProxy 2.6 reads too. Its servers are those of startColumns.
const columnsConfig = `
global
    stats socket ipv4@127.0.0.1:9999 level admin
    maxconn 2000
defaults
    mode http
    timeout connect 10s
    timeout client 30s
    timeout server 30s
    retries 2
frontend http_in
    bind *:8000
    http-request deny deny_status 403 if { path /denied }
    http-request return status 200 content-type text/plain string "own" if { path /own }
    http-request redirect location /elsewhere if { path /moved }
    use_backend picky if { path_beg /picky }
    use_backend refusing if { path_beg /refusing }
    use_backend moving if { path_beg /moving }
    use_backend empty if { path_beg /empty }
    use_backend slow if { path_beg /slow }
    use_backend late if { path_beg /never }
    use_backend faulty if { path /cut } or { path /mute } or { path /junk } or { path /big }
    default_backend web
frontend counted_in
    bind *:8020
    bind *:8021 name second
    option socket-stats
    http-request deny deny_status 403 if { path /denied }
    default_backend counted
frontend rejecting_in
    mode tcp
    bind *:8010
    tcp-request connection reject
    default_backend raw
frontend choosy_in
    mode tcp
    bind *:8011
    tcp-request session reject
    default_backend raw
frontend tcp_in
    mode tcp
    bind *:8001
    default_backend raw
frontend tcp_refused_in
    mode tcp
    bind *:8002
    default_backend raw_refusing
frontend tcp_moving_in
    mode tcp
    bind *:8003
    default_backend raw_moving
frontend idle_in
    mode tcp
    bind *:8004
    timeout client 1500ms
    default_backend idle_client
frontend idle_server_in
    mode tcp
    bind *:8005
    default_backend idle_server
frontend stats_in
    bind *:8404
    http-request use-service prometheus-exporter if { path /metrics }
    stats enable
    stats uri /
    stats show-legends
backend idle_client
    mode tcp
    server r1 {{r1}}
backend idle_server
    mode tcp
    timeout server 1500ms
    server r1 {{r1}}
backend web
    http-response deny if { res.hdr(x-secret) -m found }
    server w1 {{w1}}
    server w2 {{w2}}
backend picky
    http-request deny
    server w1 {{w1}}
backend refusing
    timeout connect 100ms # which is also the pause between two attempts
    server dead {{dead}}
backend moving
    option redispatch
    server dead {{dead}}
    server w1 {{w1}}
backend empty
    server off {{w1}} disabled
backend slow
    server w1 {{w1}}
backend counted
    server w1 {{w1}}
backend late
    timeout server 200ms
    server w1 {{w1}}
backend faulty
    server w1 {{w1}}
backend raw
    mode tcp
    server r1 {{r1}}
    server r2 {{r2}}
backend raw_refusing
    mode tcp
    retries 0
    server dead {{dead}}
backend raw_moving
    mode tcp
    option redispatch
    server dead {{dead}}
    server r1 {{r1}}
`

// columnsLab is a lab with a balancer before counted servers.
type columnsLab struct {
	*balancer
	servers map[string]*countedServer
	truth   truth
	bounds  map[[2]string][2]int64 // by row and column, for times, which nobody knows exactly
}

// contender is what runs in the balancer's namespace.
type contender struct {
	name    string
	command func(b *balancer) lab.Command
	// kernel says that TCP connections take the kernel path.
	kernel bool
	// haproxy says that it is the original.
	haproxy bool
}

func columnContenders(t *testing.T) []contender {
	waggle := func(path string) func(b *balancer) lab.Command {
		return func(b *balancer) lab.Command {
			return b.command("run", "-f", lab.FilesDir+"/haproxy.cfg", "--datapath="+path)
		}
	}
	return []contender{
		{name: "kernel", command: waggle(kernelMode()), kernel: true},
		{name: "userspace", command: waggle("off")},
		{name: "haproxy", haproxy: true, command: func(*balancer) lab.Command {
			return lab.Command{Argv: []string{require.Tool(t, "haproxy"), "-db", "-f", lab.FilesDir + "/haproxy.cfg"}}
		}},
	}
}

func startColumns(t *testing.T, c contender) *columnsLab {
	t.Helper()
	l := newLab(t, lab.Options{})
	b := &columnsLab{balancer: &balancer{Lab: l, t: t}, servers: map[string]*countedServer{}, truth: truth{}, bounds: map[[2]string][2]int64{}}
	task, err := l.AddTask(labtest.Context(t), lab.TaskOptions{Kind: lab.TCP})
	if err != nil {
		t.Fatal(err)
	}
	file := strings.ReplaceAll(columnsConfig, "{{dead}}", fmt.Sprintf("%s:1", task.Addr()))
	for i, name := range []string{"w1", "w2", "r1", "r2"} {
		serve := serveWeb
		if name[0] == 'r' {
			serve = serveRaw
		}
		b.servers[name] = serveCounted(t, task.Host, 9000+i, name, serve)
		file = strings.ReplaceAll(file, "{{"+name+"}}", b.servers[name].addr)
	}
	if c.haproxy { // of two threads the one that comes too late for a connection has counted it, too, for a moment: smax may be 1 more
		file = "global\n    nbthread 1\n" + file
	}
	cmd := c.command(b.balancer)
	cmd.Files = map[string][]byte{"haproxy.cfg": []byte(file)}
	if b.process, err = b.Balancer.Start(labtest.Context(t), cmd); err != nil {
		t.Fatal(err)
	}
	b.eventually("the balancer answers", func() error { _, err := b.runtime("show info"); return err })
	return b
}

// truth is what clients and servers know, by the name of a row ("web/BACKEND") and of a column.
type truth map[string]map[string]int64

func (w truth) add(row, column string, n int64) {
	if w[row] == nil {
		w[row] = map[string]int64{}
	}
	w[row][column] += n
}

// counted reads `show stat` into the same shape; cells that are no numbers are left out.
func (b *balancer) counted() (truth, error) {
	text, err := b.runtime("show stat")
	if err != nil {
		return nil, err
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(strings.TrimSpace(text), "# ")))
	r.FieldsPerRecord = -1
	lines, err := r.ReadAll()
	if err != nil || len(lines) < 2 {
		return nil, fmt.Errorf("show stat: %q, %w", text, errors.Join(err))
	}
	got := truth{}
	for _, line := range lines[1:] {
		row := line[0] + "/" + line[1]
		for i, cell := range line {
			if n, err := strconv.ParseInt(cell, 10, 64); err == nil {
				got.add(row, lines[0][i], n)
			}
		}
	}
	return got, nil
}

// differences lists what differs from the truth by more than 1 %.
func (w truth) differences(got truth) (all []string) {
	for _, row := range slices.Sorted(maps.Keys(w)) {
		for _, column := range slices.Sorted(maps.Keys(w[row])) {
			want := w[row][column]
			n, there := got[row][column]
			if off := max(n-want, want-n); !there || off*100 > want {
				all = append(all, fmt.Sprintf("%s %s is %d, want %d", row, column, n, want))
			}
		}
	}
	return all
}

func (b *columnsLab) outOfBounds(got truth) (all []string) {
	for cell, bounds := range b.bounds {
		if n := got[cell[0]][cell[1]]; n < bounds[0] || n > bounds[1] {
			all = append(all, fmt.Sprintf("%s %s is %d, want %d to %d", cell[0], cell[1], n, bounds[0], bounds[1]))
		}
	}
	return all
}

// forgetForHAProxy takes out what HAProxy counts in another way: the bytes of HTTP as it stores messages, not as they are on
// the wire; and at a server a session for each attempt.
func (w truth) forgetForHAProxy() {
	for row := range w {
		if strings.HasPrefix(row, "raw") || strings.HasPrefix(row, "tcp") || strings.HasPrefix(row, "idle") {
			continue
		}
		delete(w[row], "bin")
		delete(w[row], "bout")
	}
	delete(w["refusing/dead"], "stot")
}

// Every column that counts traffic says what clients and servers have seen, within 1 %, on both paths. HAProxy itself is
// held to the same truth, so that it is known to be what HAProxy's columns mean.
func TestColumnsTellTheTruth(t *testing.T) {
	contenders := columnContenders(t)
	if withXDP() {
		contenders = contenders[:1]
	}
	for _, c := range contenders {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := startColumns(t, c)
			b.load(c)
			if c.haproxy {
				b.truth.forgetForHAProxy()
			}
			var got truth
			var wrong []string
			for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
				var err error
				if got, err = b.counted(); err != nil {
					t.Fatal(err)
				}
				if wrong = append(b.truth.differences(got), b.outOfBounds(got)...); len(wrong) == 0 || time.Now().After(end) {
					break
				}
			}
			for _, w := range wrong {
				t.Error(w)
			}
			if !c.haproxy {
				b.outputsAgree()
			}
			n := 0
			for _, columns := range b.truth {
				n += len(columns)
			}
			t.Logf("%d cells of %d rows compared, %d times", n, len(b.truth), len(b.bounds))
		})
	}
}
