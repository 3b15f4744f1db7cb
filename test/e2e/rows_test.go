package e2e

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"waggle/pkg/lab"
)

// rowsConfig has a frontend and a server that a reload takes away and brings back.
const rowsConfig = `
global
    stats socket ipv4@127.0.0.1:9999 level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend stays
    bind *:8001
    default_backend raw
frontend comes
    bind *:8002
    default_backend raw
backend raw
    server one %s
    server two %s
`

// The rows of servers and frontends that a reload takes away, and another one brings back before their last flows have ended, and
// those of their backend, are right all the time: at once, and for the process that takes over after a kill.
func TestRowsStayRightOverReloadsAndTakeOvers(t *testing.T) {
	b := &balancer{Lab: newLab(t, lab.Options{}), t: t}
	tasks := b.rawTasks(2)
	all := fmt.Sprintf(rowsConfig, tasks[0].Endpoint(), tasks[1].Endpoint())
	less := all[:strings.Index(all, "    server two")]
	less = strings.Replace(less, "frontend comes\n    bind *:8002\n    default_backend raw\n", "", 1)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	flags := []string{"run", "-f", file, "--pin-dir=" + mountPins(t), kernelFlag()}
	b.rewrite(file, all)
	run := func() {
		t.Helper()
		b.execute(b.command(flags...))
		b.ready()
	}
	reload := func(text string) {
		t.Helper()
		b.rewrite(file, text)
		before := strings.Count(b.process.Output(), "the configuration was loaded")
		if err := b.process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		b.eventually("the reload", func() error {
			if strings.Count(b.process.Output(), "the configuration was loaded") == before {
				return errors.New(b.process.Output())
			}
			return nil
		})
	}
	hold := func(port, n int) {
		t.Helper()
		for range n {
			conn, err := b.dial(port)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			_, err = fmt.Fprint(conn, "echo\n")
			if err = errors.Join(err, line(conn, "hello")); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(when string, rows map[string]int64) {
		t.Helper()
		b.eventually("the rows "+when, func() error {
			got, err := b.counted()
			if err != nil {
				return err
			}
			want := truth{}
			for row, n := range rows { // all are held
				want.add(row, "scur", n)
				want.add(row, "stot", n)
				want.add(row, "bin", n*int64(len("echo\nhello\n")))
			}
			if off := want.differences(got); len(off) > 0 {
				return errors.New(strings.Join(off, "\n"))
			}
			return nil
		})
	}
	run()
	hold(8001, 2)
	hold(8002, 2)
	check("at first", map[string]int64{"stays/FRONTEND": 2, "comes/FRONTEND": 2, "raw/one": 2, "raw/two": 2, "raw/BACKEND": 4})
	reload(less)
	check("without one server and one frontend", map[string]int64{"stays/FRONTEND": 2, "raw/one": 2, "raw/BACKEND": 4})
	b.process.Kill()
	run()
	check("without them, for the next process", map[string]int64{"stays/FRONTEND": 2, "raw/one": 2, "raw/BACKEND": 4})
	reload(all)
	hold(8002, 2)
	again := map[string]int64{"stays/FRONTEND": 2, "comes/FRONTEND": 2, "raw/one": 3, "raw/two": 1, "raw/BACKEND": 6}
	check("with them again", again)
	for range 3 {
		b.process.Kill()
		run()
		check("with them again, for the next process", again)
	}
	reload(less)
	reload(all)
	hold(8002, 2)
	again["raw/one"], again["raw/BACKEND"] = 4, 8
	check("with them again for the second time", again)
	b.process.Kill()
	run()
	check("with them again for the second time, for the next process", again)
}
