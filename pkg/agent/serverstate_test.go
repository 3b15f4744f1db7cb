package agent_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"waggle/pkg/agent"
	"waggle/pkg/config"
	"waggle/pkg/lab/haproxy"
	"waggle/pkg/lab/labtest"
)

// stateConfig has the directory of the socket and the state file, and the frontend's port. CHECKED accepts checks.
const stateConfig = `global
  stats socket %[1]s/s level admin
  server-state-base %[1]s
  server-state-file states
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  load-server-state-from-file global
frontend in
  bind 127.0.0.1:%[2]d
  default_backend be
backend be
  server a 127.0.0.1:1001 weight 10
  server b localhost:1002 weight 10
  server c 127.0.0.1:CHECKED weight 10 check inter 60s
  server d 127.0.0.1:1004 weight 10 disabled
  server e 127.0.0.1:1005 weight 10
  server f 127.0.0.1:CHECKED weight 10 check inter 60s
  server g 127.0.0.1:CHECKED weight 10 check inter 60s
  server h 127.0.0.1:1008 weight 10 disabled
  server i 127.0.0.1:1009 weight 0
  server k 127.0.0.1:CHECKED weight 10 check inter 60s
  server-template l 1-2 localhost:1011 init-addr last,none
  server-template t 1-2 nowhere.invalid:80 init-addr none
`

// withChecked puts the port of a listener, which is there until the test ends, into configurations.
func withChecked(t *testing.T) func(string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return func(text string) string { return strings.ReplaceAll(text, "CHECKED", port) }
}

// restarted is the configuration that the programs find after the restart.
var restarted = strings.NewReplacer(
	"1001 weight 10", "1111 weight 11", "localhost:1002", "localhost:1112", "1004 weight 10 disabled", "1004 weight 10",
	"1005 weight 10", "1005 weight 10 disabled", "weight 0", "weight 3",
)

var stateCommands = []string{
	"set server be/a addr 127.0.0.9 port 2001", "set server be/a weight 33", "set server be/b addr 127.0.0.8 port 2002", "set server be/b state drain",
	"disable health be/c", "set server be/c health down", "set server be/d state ready", "set server be/e state maint",
	"disable health be/f", "disable health be/g", "set server be/g health stopping", "set server be/i weight 5",
}

// writeStateConfig writes the configuration into a directory of its own.
func writeStateConfig(t *testing.T, edit func(string) string) (dir, file string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "states") // short: the path of a socket has a limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	file = filepath.Join(dir, "haproxy.cfg")
	text := fmt.Sprintf(stateConfig, dir, labtest.FreeAddr(t).Port())
	if err := os.WriteFile(file, []byte(edit(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, file
}

// statesOf runs a program on the configuration, which finds before as the states of a process before, gives it commands
// and returns what it says about its servers then.
func statesOf(t *testing.T, start func(t *testing.T, file string), edit func(string) string, before string, commands []string) (states string) {
	t.Helper()
	t.Run("run", func(t *testing.T) { // the program ends with it
		dir, file := writeStateConfig(t, edit)
		if before != "" {
			if err := os.WriteFile(filepath.Join(dir, "states"), []byte(before), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		start(t, file)
		waitForSocket(t, filepath.Join(dir, "s"))
		for _, c := range commands {
			runtimeCommand(t, filepath.Join(dir, "s"), c+"\n")
		}
		states = runtimeCommand(t, filepath.Join(dir, "s"), "show servers state\n")
	})
	return states
}

// comparable keeps the columns that say the same of two programs: not numbers of proxies, ages, and the last checks.
func comparable(states string) string {
	var out strings.Builder
	for line := range strings.Lines(states) {
		w := strings.Fields(line)
		if len(w) < 25 || w[0] == "#" {
			continue
		}
		switched := w[13]
		if switched == "8" { // HAProxy: paused, although there are no checks
			switched = "0"
		}
		fmt.Fprintln(&out, slices.Concat(w[3:9], []string{switched}, w[17:20], w[21:23]))
	}
	return out.String()
}

// TestServerStatesAreThoseOfHAProxy has each program write the states and each read them, with the same configuration and
// another one: both must make the same of both files.
func TestServerStatesAreThoseOfHAProxy(t *testing.T) {
	programs := map[string]func(*testing.T, string){
		"haproxy": func(t *testing.T, file string) { haproxy.StartFile(t, file, haproxy.Options{}) },
		"waggle":  func(t *testing.T, file string) { startWaggle(t, file) },
	}
	same := withChecked(t)
	changed := func(text string) string { return same(restarted.Replace(text)) }
	written := map[string]string{}
	for name, start := range programs {
		written[name] = statesOf(t, start, same, "", stateCommands)
	}
	if h, w := comparable(written["haproxy"]), comparable(written["waggle"]); h != w || strings.Count(h, "\n") != 14 {
		t.Errorf("HAProxy writes\n%swaggle\n%s", h, w)
	}
	for name, edit := range map[string]func(string) string{"same": same, "changed": changed} {
		for writer, states := range written {
			h, w := comparable(statesOf(t, programs["haproxy"], edit, states, nil)), comparable(statesOf(t, programs["waggle"], edit, states, nil))
			if h != w || h == "" {
				t.Errorf("%s configuration, written by %s: HAProxy makes\n%swaggle\n%s", name, writer, h, w)
			}
		}
	}
}

// TestARestartKeepsServers is what an operator does: keep the states, restart.
func TestARestartKeepsServers(t *testing.T) {
	start := func(t *testing.T, file string) { startWaggle(t, file) }
	checked := withChecked(t)
	edit := func(text string) string { // of each backend its own file, and addresses that outlive the process
		text = strings.Replace(checked(text), "from-file global", "from-file local", 1)
		return strings.Replace(text, "nowhere.invalid:80 init-addr none", "nowhere.invalid:80 init-addr last,none", 1) + "  server-state-file-name states\n"
	}
	commands := append(slices.Clone(stateCommands), "set server be/t1 addr 10.1.1.1", "set server be/t2 addr 10.1.1.2", "set server be/t2 weight 50")
	before := statesOf(t, start, edit, "", commands)
	after := statesOf(t, start, edit, before, nil)
	for _, want := range []string{
		"a 127.0.0.1 2 0 33 10 ", "b 127.0.0.8 2 8 10 10 ", "c 127.0.0.1 0 0 10 10 ", "d 127.0.0.1 2 4 10 10 ", "e 127.0.0.1 0 1 10 10 ",
		"g 127.0.0.1 3 0 10 10 ", "h 127.0.0.1 0 5 10 10 ", "t1 10.1.1.1 2 0 1 1 ", "t2 10.1.1.2 2 0 50 1 ",
	} {
		if !strings.Contains(after, " "+want) {
			t.Errorf("%q is missing; before\n%safter\n%s", want, before, after)
		}
	}
	if fresh := statesOf(t, start, edit, "", nil); strings.Contains(fresh, " 10.1.1.1 ") {
		t.Errorf("without a file:\n%s", fresh)
	}
}

// Nothing in a state file keeps a balancer from starting, and what does not fit is said.
func TestBadServerStates(t *testing.T) {
	const line = "3 be 1 a 127.0.0.1 2 8 10 10 4 1 0 2 0 0 0 0 - 1001 - 0 0 - - 0\n"
	many := ""
	for i := range 15 {
		many += strings.Replace(line, " a ", fmt.Sprintf(" gone%d ", i), 1)
	}
	for _, tc := range []struct {
		states string
		want   []string
		status string // of be/a
	}{
		{"", []string{"there is no server state file yet"}, "no check"},
		{"2\n" + line, []string{"level=WARN msg=\"the server state file cannot be read; servers begin anew\""}, "no check"},
		{"1\nbad\n" + line, []string{`why="line 2: 1 columns`, "servers=1"}, "DRAIN"},
		{"1\n" + strings.Replace(line, " be ", " nobe ", 1), []string{`why="there is no backend 'nobe'"`, "servers=0"}, "no check"},
		{"1\n" + many + line, []string{`why="there is no server 'gone9' in backend 'be'"`, "lines=5", "servers=1"}, "DRAIN"},
	} {
		dir, file := writeStateConfig(t, withChecked(t))
		if tc.states != "" {
			if err := os.WriteFile(filepath.Join(dir, "states"), []byte(tc.states), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cfg, _, err := config.Load([]string{file}, config.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		a, err := agent.New(t.Context(), agent.Options{Config: cfg, Datapath: agent.DatapathOff, Loops: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Errorf("%.40q: %v", tc.states, err)
			continue
		}
		for _, want := range tc.want {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%.40q: %s is not in the log:\n%s", tc.states, want, log.String())
			}
		}
		if strings.Contains(log.String(), "gone10") {
			t.Errorf("the log is too long:\n%s", log.String())
		}
		if got := a.Pool().Backend("be").Servers()[0].View().Status; got != tc.status {
			t.Errorf("%.40q: the server is %s, want %s", tc.states, got, tc.status)
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if err := a.Run(over); err != nil { // which closes it
			t.Error(err)
		}
	}
}
