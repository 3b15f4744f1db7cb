package runtimeapi

import (
	"strings"
	"testing"
	"testing/synctest"

	"waggle/pkg/lab/message"
	"waggle/pkg/stats"
)

// answersTo gives all answers to a line as one.
func answersTo(c *session, line string) (all string) {
	c.line(line, func(one string) bool { all += one; return true })
	return all
}

// ask runs one line at a level and returns the whole answer.
func ask(s *stats.Snapshot, level Level, line string) string {
	c := &session{server: New(fixed{s}, Options{}), level: level}
	return answersTo(c, line)
}

func TestAnswers(t *testing.T) {
	const denied = "Permission denied\n\n"
	tests := []struct {
		name  string
		level Level
		line  string
		want  string // the answer, or with a trailing "…" its beginning
	}{
		{"version", User, "show version", "3.2-waggle-0.1.0\n\n"},
		{"info", User, "show info", "Name: waggle\nVersion: 3.2-waggle-0.1.0\nNbproc: 1\nProcess_num: 1\nPid: 42\nUptime: 0d 1h00m00s\nUptime_sec: 3600\n…"},
		{"info typed", User, "show info typed", "0.Name.1:POS:str:waggle\n1.Version.1:POS:str:3.2-waggle-0.1.0\n4.Nbproc.1:CGS:u32:1\n…"},
		{"info json", User, "show info json", `[{"field":{"pos":0,"name":"Name"},"processNum":1,"tags":{"origin":"Product","nature":"Output","scope":"Service"},"value":{"type":"str","value":"waggle"}},…`},
		{"backends", User, "show backend", "# name\nweb\nstill\n\n"},
		{"level", Operator, "show cli level", "operator\n\n"},
		{"lower the level", Admin, "user;show cli level;disable server web/one", "\nuser\n\n" + denied},
		{"levels do not rise", User, "operator", denied},
		{"chain", User, "show version;show backend", "3.2-waggle-0.1.0\n\n# name\nweb\nstill\n\n"},
		{"semicolon at the end", User, "show version;\n", "3.2-waggle-0.1.0\n\n"},
		{"escaped semicolon", User, `show\;version`, "Unknown command: 'show;version', but maybe one of the following ones is a better match:\n…"},
		{"unknown", User, "reboot", "Unknown command: 'reboot', but maybe one of the following ones is a better match:\n  add acl [@<ver>] <acl> <pattern>        : add an entry\n  add map …"},
		{"unknown, known beginning", User, "show servers", "Unknown command: 'show', but maybe one of the following ones is a better match:\n  show servers conn [<backend>]           : connections of servers\n  show servers state [<backend>]          : what changes about servers\n\n"},
		{"control characters", User, "\x1b[2J", "Unknown command: '?[2J', but…"},
		{"empty", User, "\n", "Unknown command: ''. Please enter one of the following commands only:\n…"},
		{"help", User, "help", "The following commands are valid at this level:\n  add acl [@<ver>] <acl> <pattern>        : add an entry\n  add map …"},
		{"help on one", User, "help get", "The following commands are valid at this level:\n  get acl <acl> <value>                   : the patterns that match a value\n  get map <map> <value>                   : the patterns and values that match a value\n  get weight <bk>/<srv>                   : a server's weight, now and at first\n\n"},
		{"quit", User, "quit", ""},
		{"no resolvers section", User, "show resolvers nope", "Can't find that resolvers section\n\n"},
		{"resolvers", User, "show resolvers docker", "Resolvers section docker\n nameserver dns1:\n  sent:        9\n  snd_error:   1\n  valid:       0\n…"},
		{"errors", Operator, "show errors", "Total events captured on [01/Jan/2000:00:00:00.000] : 0\n\n"},
		{"errors, denied", User, "show errors", denied},
		{"servers state", User, "show servers state web", stateHeader +
			"3 web 1 one 10.0.0.1 2 0 4 4 0 6 3 4 6 0 0 0 - 80 - 0 0 - - 0\n" +
			"3 web 2 two - 0 32 1 1 0 1 0 2 14 0 0 0 task 80 - 0 0 - - 0\n\n"},
		{"servers state by number", User, "show servers state 4", stateHeader + "4 still 1 s 10.0.0.9 2 0 1 1 0 1 0 2 0 0 0 0 - 80 - 0 0 - - 0\n\n"},
		{"servers state, no backend", User, "show servers state nope", "Can't find backend.\n\n"},
		{"servers conn", User, "show servers conn web", connHeader + "web/one 3/1 10.0.0.1 80 - 0 2 2 2 0 1 -1 1 1\nweb/two 3/2 - 80 - 0 0 0 0 0 0 -1 0 0\n\n"},
		{"clear counters", Operator, "clear counters", "\n"},
		{"clear counters, denied", User, "clear counters", denied},
		{"clear all, denied", Operator, "clear counters all", denied},
		{"stat, no proxy", User, "show stat nope -1 -1", "No such proxy.\n\n"},
		{"stat, other domain", User, "show stat domain moon", "Invalid statistics domain.\n\n"},
		{"weight", User, "get weight web/one", "4 (initial 4)\n\n"},
		{"weight by number", User, "get weight web/#2", "1 (initial 1)\n\n"},
		{"weight, no backend", User, "get weight nope/one", "No such backend.\n\n"},
		{"weight, no server", User, "get weight web/nope", "No such server.\n\n"},
		{"weight, no slash", User, "get weight web", "Require 'backend/server'.\n\n"},
		{"weight, nothing", User, "get weight", "Require 'backend/server'.\n\n"},
		{"set weight, denied", Operator, "set weight web/one 1", denied},
		{"set weight, too much", Admin, "set weight web/one 257", "Absolute weight can only be between 0 and 256 inclusive.\n\n"},
		{"set weight, negative percent", Admin, "set weight web/one -1%", "Relative weight must be positive.\n\n"},
		{"set weight, nothing", Admin, "set weight web/one", "Require <weight> or <weight%>.\n\n"},
		{"set weight, garbage", Admin, "set weight web/one x", "Empty weight string empty or preceded by garbage\n\n"},
		{"set weight, fixed", Admin, "set weight still/s 7", "Backend is using a static LB algorithm and only accepts weights '0%' and '100%'.\n\n"},
		{"set weight, fixed, to nothing", Admin, "set weight still/s 0%; get weight still/s", "\n0 (initial 1)\n\n"},
		{"set server weight", Admin, "set server web/one weight 50%; get weight web/one", "\n2 (initial 4)\n\n"},
		{"set server weight, capped", Admin, "set server web/one weight 99999999%; get weight web/one", "\n256 (initial 4)\n\n"},
		{"set server, denied", Operator, "set server web/one state drain", denied},
		{"set server, bad state", Admin, "set server web/one state up", "'set server <srv> state' expects 'ready', 'drain' and 'maint'.\n\n"},
		{"timeout", User, "set timeout cli 1h", "\n"},
		{"timeout, too long", User, "set timeout cli 900h", "Invalid timeout value.\n\n"},
		{"too many words", User, strings.Repeat("a ", 65), "Too many arguments. Commands must have at most 64 arguments.\n\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := ask(balancer(), tt.level, tt.line)
				want, open := strings.CutSuffix(tt.want, "…")
				if open && !strings.HasPrefix(got, want) || !open && got != want {
					t.Errorf("%q answers\n%q\nwant\n%q", tt.line, got, tt.want)
				}
				message.Shown(t, want)
			})
		})
	}
}

func TestShowStat(t *testing.T) {
	tests := []struct {
		name  string
		level Level
		args  string
		want  []string // proxy/object of each line
	}{
		{"everything", User, "", []string{"in/FRONTEND", "web/one", "web/two", "web/BACKEND", "still/s", "still/BACKEND"}},
		{"everything by numbers", User, "-1 -1 -1", []string{"in/FRONTEND", "web/one", "web/two", "web/BACKEND", "still/s", "still/BACKEND"}},
		{"frontends and backends", User, "-1 3 -1", []string{"in/FRONTEND", "web/BACKEND", "still/BACKEND"}},
		{"servers of one", User, "web 4 -1", []string{"web/one", "web/two"}},
		{"one server", User, "3 4 2", []string{"web/two"}},
		{"no kind", User, "-1 0 -1", nil},
		{"up", User, "up", []string{"in/FRONTEND", "web/one", "web/BACKEND", "still/s", "still/BACKEND"}},
		{"selected and no-maint", User, "web 4 -1 no-maint", []string{"web/one"}},
		{"by domain", User, "domain proxy web 2 -1", []string{"web/BACKEND"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			lines := strings.Split(strings.TrimRight(ask(balancer(), tt.level, "show stat "+tt.args), "\n"), "\n")
			var got []string
			for _, l := range lines[1:] {
				cells := strings.Split(l, ",")
				got = append(got, cells[0]+"/"+cells[1])
			}
			if strings.Join(got, " ") != strings.Join(tt.want, " ") {
				t.Errorf("rows %v, want %v", got, tt.want)
			}
		})
	}
}

// TestAddressesNeedALevel makes sure that addresses are told from operator on, as in HAProxy.
func TestAddressesNeedALevel(t *testing.T) {
	for level, want := range map[Level]bool{User: false, Operator: true, Admin: true} {
		if got := strings.Contains(ask(balancer(), level, "show stat"), "10.0.0.1:80"); got != want {
			t.Errorf("level %v: addresses told = %v, want %v", level, got, want)
		}
	}
}

func TestStatesOfServers(t *testing.T) {
	steps := []struct {
		line string
		want string
	}{
		{"set server web/one state drain", "DRAIN"},
		{"set server web/one state maint", "MAINT"},
		{"set server web/one state ready", "UP 1/3"},
		{"disable server web/one", "MAINT"},
		{"set server web/one state drain", "DRAIN 1/3"},
		{"enable server web/one", "UP 1/3"},
		{"set server web/one weight 0", "UP 1/3"}, // as HAProxy 2.6 was seen to show it
	}
	s := balancer()
	server := s.Proxies[1].Backend.Servers()[0]
	for _, step := range steps {
		if got := ask(s, Admin, step.line); got != "\n" {
			t.Errorf("%s answers %q", step.line, got)
		}
		if got := server.View().Status; got != step.want {
			t.Errorf("after %q the status is %q, want %q", step.line, got, step.want)
		}
		if admin := server.View().Admin; admin.Maint() && admin.Drain() {
			t.Errorf("after %q the server is in two states at once: %b", step.line, admin)
		}
	}
	if len(s.Proxies[1].Backend.Snapshot().Targets) != 0 {
		t.Error("a server of weight 0 is still balanced over")
	}
}

// TestClearCountersForgetsMaxima looks at the pool, since the answer says nothing.
func TestClearCountersForgetsMaxima(t *testing.T) {
	s := balancer()
	g := &s.Pool.Frontends[0].Sessions
	g.Add(5)
	g.Add(-5)
	ask(s, Operator, "clear counters")
	if g.Max() != 0 {
		t.Errorf("the maximum is still %d", g.Max())
	}
}

// TestCommandTable makes sure that every command can be found by its own words and explains itself.
func TestCommandTable(t *testing.T) {
	s := New(fixed{balancer()}, Options{})
	for i := range s.commands {
		cmd := &s.commands[i]
		if got, args := s.find(append(cmd.words, "x")); got != cmd || len(args) != 1 {
			t.Errorf("%v is found as %v", cmd.words, got)
		}
		if !strings.HasPrefix(cmd.usage, strings.Join(cmd.words, " ")) || cmd.help == "" || cmd.run == nil {
			t.Errorf("%v is not explained: %q, %q", cmd.words, cmd.usage, cmd.help)
		}
	}
}
