package e2e

import (
	"fmt"
	"strings"
	"testing"

	"waggle/pkg/lab"
)

// backupConfig has the same servers twice, with and without option allbackups.
const backupConfig = `
global
    stats socket ipv4@127.0.0.1:9999 level admin
defaults
    mode tcp
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    default-server check inter 200ms rise 1 fall 2
frontend metrics
    mode http
    bind *:8404
    http-request use-service prometheus-exporter if { path /metrics }
listen first_backup
    bind *:8001
    server one %[1]s:8000
    server two %[2]s:8000
    server three %[3]s:8000 backup
    server four %[4]s:8000 backup
listen all_backups
    bind *:8002
    option allbackups
    server one %[1]s:8000
    server two %[2]s:8000
    server three %[3]s:8000 backup
    server four %[4]s:8000 backup
`

// Backup servers are used when no other one is left: the first that is usable, or all of them with option allbackups. On the
// kernel path the kernel serves each of these connections.
func TestBackupServersStandIn(t *testing.T) {
	for _, datapath := range datapaths() {
		t.Run("datapath "+datapath, func(t *testing.T) { backupsStandIn(t, datapath) })
	}
}

func backupsStandIn(t *testing.T, datapath string) {
	b := &balancer{Lab: newLab(t, lab.Options{}), t: t}
	tasks := b.rawTasks(4)
	b.runConfig("--datapath="+datapath, backupConfig, tasks[0].Addr(), tasks[1].Addr(), tasks[2].Addr(), tasks[3].Addr())
	const one, two, three, four = "hostname: raw-1", "hostname: raw-2", "hostname: raw-3", "hostname: raw-4"
	for _, step := range []struct {
		what       string
		change     func() error
		down       int
		first, all []string // who serves without and with option allbackups
	}{
		{"all servers are up", nil, 0, []string{one, two}, []string{one, two}},
		{"one server is left", tasks[0].Unplug, 1, []string{two}, []string{two}},
		{"only backups are left", tasks[1].Unplug, 2, []string{three}, []string{three, four}},
		{"the first backup is gone", tasks[2].Unplug, 3, []string{four}, []string{four}},
		{"the first backup is back", tasks[2].Plug, 2, []string{three}, []string{three, four}},
		{"a server is back", tasks[1].Plug, 1, []string{two}, []string{two}},
		{"all servers are back", tasks[0].Plug, 0, []string{one, two}, []string{one, two}},
	} {
		if step.change != nil {
			if err := step.change(); err != nil {
				t.Fatal(err)
			}
		}
		b.eventually(step.what, func() error { // before anybody connects, who may meet a server that does not answer
			list, err := b.runtime("show stat")
			if n := strings.Count(list, ",DOWN,"); err != nil || n != 2*step.down || !strings.Contains(list, ",L4OK,") {
				return fmt.Errorf("%v\n%s", err, list)
			}
			return nil
		})
		for port, want := range map[int][]string{8001: step.first, 8002: step.all} {
			ask := func() (string, error) { return b.rawNameAt(port) }
			b.eventually(fmt.Sprintf("port %d: %s", port, step.what), func() error { return b.shares(ask, 4, want...) })
			before := b.metric("waggle_frontend_sessions_total", `path="kernel"`)
			if err := b.shares(ask, 12, want...); err != nil {
				t.Errorf("port %d: %s: %v", port, step.what, err)
			}
			viaKernel := map[bool]float64{true: 0, false: 12}[datapath == "off"]
			if got := b.metric("waggle_frontend_sessions_total", `path="kernel"`) - before; got != viaKernel {
				t.Errorf("port %d: %s: the kernel has served %v of 12 connections, want %v", port, step.what, got, viaKernel)
			}
		}
	}
}
