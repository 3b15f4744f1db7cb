package config

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

func globalDirectives() []directive {
	rows := []directive{
		{name: "maxconn", in: inGlobal, args: "<n>", doc: "connections of the whole process", parse: func(s *statement) {
			s.number(0, math.MaxInt32, &s.p.cfg.Global.MaxConn)
		}},
		{name: "daemon", in: inGlobal, doc: "going to the background", status: Ignored, why: "waggle stays in the foreground, as containers and systemd want it", parse: func(s *statement) {
			s.p.cfg.Global.Daemon = s.atMost(0)
		}},
		{name: "nbthread", in: inGlobal, args: "<n>", doc: "number of event loops", parse: func(s *statement) {
			s.number(1, 1024, &s.p.cfg.Global.NbThread)
		}},
		{name: "node", in: inGlobal, args: "<name>", doc: "this node's name in statistics", parse: func(s *statement) {
			if v, ok := s.one("a name"); ok {
				s.p.cfg.Global.Node = v
			}
		}},
		{name: "localpeer", in: inGlobal, args: "<name>", doc: "this process's name in peers sections; by default the host's name", parse: func(s *statement) {
			if name, ok := s.one("a name"); ok {
				s.p.cfg.Global.LocalPeer = name
			}
		}},
		{name: "description", in: inGlobal, args: "<text>", doc: "a text for the stats page", parse: func(s *statement) {
			s.p.cfg.Global.Description = s.rest()
		}},
		{name: "log", in: inGlobal, args: "<target> [len <n>] [format <f>] <facility> [<level> [<minlevel>]]", doc: "where logs go", switchable: true, parse: func(s *statement) {
			s.log(&s.p.cfg.Global.Logs, false)
		}},
		{name: "log-tag", in: inGlobal, args: "<text>", doc: "the program's name in logs", parse: func(s *statement) {
			if v, ok := s.one("a tag"); ok {
				s.p.cfg.Global.LogTag = v
			}
		}},
		{name: "log-send-hostname", in: inGlobal, args: "[<name>]", doc: "puts a host name into logs", parse: func(s *statement) {
			if s.atMost(1) {
				v := s.text(0)
				s.p.cfg.Global.LogSendHostname = &v
			}
		}},
		{name: "stats socket", in: inGlobal, args: "<path|addr:port|fd@n> [mode <octal>] [level <level>]", doc: "a socket for the Runtime API", parse: (*statement).statsSocket},
		{name: "stats timeout", in: inGlobal, args: "<time>", doc: "silence after which such a connection is closed", parse: func(s *statement) {
			if s.duration(time.Millisecond, &s.p.cfg.Global.StatsTimeout); s.text(0) != "" && s.p.cfg.Global.StatsTimeout == 0 {
				s.errorf(0, "'stats timeout' expects a time above 0")
			}
		}},
		{name: "stats maxconn", in: inGlobal, args: "<n>", doc: "connections at once on the stats sockets", parse: func(s *statement) {
			s.number(1, math.MaxInt32, &s.p.cfg.Global.StatsMaxConn)
		}},
		{name: "hard-stop-after", in: inGlobal, args: "<time>", doc: "how long a soft stop may take", parse: func(s *statement) {
			s.duration(time.Millisecond, &s.p.cfg.Global.HardStopAfter)
		}},
		{name: "grace", in: inGlobal, args: "<time>", doc: "delay between the signal and the soft stop", parse: func(s *statement) {
			s.duration(time.Millisecond, &s.p.cfg.Global.Grace)
		}},
		{name: "max-spread-checks", in: inGlobal, args: "<time>", doc: "the longest time over which the first checks are spread", parse: func(s *statement) {
			s.duration(time.Millisecond, &s.p.cfg.Global.MaxSpreadChecks)
		}},
		{name: "spread-checks", in: inGlobal, args: "<0..50, in percent>", doc: "randomness of the interval of checks", parse: func(s *statement) {
			s.number(0, 50, &s.p.cfg.Global.SpreadChecks)
		}},
		{name: "tune.bufsize", in: inGlobal, args: "<size>", doc: "memory for the head of a message", parse: func(s *statement) {
			s.size(1024, &s.p.cfg.Global.BufSize)
		}},
		{name: "tune.maxrewrite", in: inGlobal, args: "<size>", doc: "part of it that is kept free for added headers", parse: func(s *statement) {
			s.size(0, &s.p.cfg.Global.MaxRewrite)
		}},
		{name: "tune.http.maxhdr", in: inGlobal, args: "<1..32767>", doc: "headers of a message", parse: func(s *statement) {
			s.number(1, 32767, &s.p.cfg.Global.MaxHdr)
		}},
		{name: "zero-warning", in: inGlobal, doc: "makes every warning an error", parse: func(s *statement) {
			s.p.zeroWarning = s.p.zeroWarning || s.atMost(0)
		}},
		{name: "setenv", in: inGlobal, args: "<name> <value>", doc: "sets a variable for the lines that follow", parse: func(s *statement) { s.setenv(true) }},
		{name: "presetenv", in: inGlobal, args: "<name> <value>", doc: "the same, unless it is set already", parse: func(s *statement) { s.setenv(false) }},
		{name: "unsetenv", in: inGlobal, args: "<name>…", doc: "unsets variables", parse: func(s *statement) {
			for _, a := range s.args {
				s.p.env.set(a.text, nil)
			}
		}},
		{name: "resetenv", in: inGlobal, args: "[<name>…]", doc: "unsets all other variables", parse: func(s *statement) {
			names := make([]string, len(s.args))
			for i, a := range s.args {
				names[i] = a.text
			}
			s.p.env.keepOnly(names)
		}},
	}
	return slices.Concat(rows, serverStateGlobals(), tlsGlobals(), compressionGlobals(), foreignGlobals())
}

func (s *statement) setenv(override bool) {
	if len(s.args) < 2 {
		s.errorf(-1, "'%s' expects a name and a value", s.name())
		return
	}
	if !s.atMost(2) {
		return
	}
	name, value := s.text(0), s.text(1)
	if _, set := s.p.env.lookup(name); override || !set {
		s.p.env.set(name, &value)
	}
}

// statsSocket reads a socket's address and the parameters that make sense here; those about handing
// over file descriptors are passed by, since a reload needs none.
func (s *statement) statsSocket() {
	target := s.text(0)
	if target == "" {
		s.errorf(-1, "'stats socket' expects a path or an address with a port")
		return
	}
	if !s.expandAddress(0) {
		return
	}
	sock := StatsSocket{Pos: s.at(-1), Level: "operator"}
	if s.statsSocketAddress(&sock, s.text(0)) && s.statsSocketParams(&sock) {
		s.p.cfg.Global.StatsSockets = append(s.p.cfg.Global.StatsSockets, sock)
	}
}

// statsSocketAddress says whether target is where a socket can be, and puts it into sock.
func (s *statement) statsSocketAddress(sock *StatsSocket, target string) bool {
	if number, ok := strings.CutPrefix(target, "fd@"); ok {
		var err error
		if sock.FD, err = strconv.Atoi(number); err != nil || sock.FD < 3 {
			s.errorf(0, "'stats socket' : 'fd@' expects the number of a descriptor that the process is started with, from 3 on, not '%s'", number)
			return false
		}
	} else if path, ok := socketPath(target); ok {
		if len(path) > maxSocketPath {
			s.errorf(0, "'stats socket' : socket path '%s' too long (max %d)", path, maxSocketPath)
			return false
		}
		sock.Path = path
	} else {
		addrs, err := parseBindAddresses(target, "")
		if err == nil && len(addrs) != 1 {
			s.errorf(0, "'stats socket' takes one address")
			return false
		}
		if err != nil {
			s.errorf(0, "'stats socket' : %s", err)
			return false
		}
		sock.Addr = addrs[0]
	}
	return true
}

// statsSocketParams says whether the parameters behind the address are right, and puts them into sock.
func (s *statement) statsSocketParams(sock *StatsSocket) bool {
	for i := 1; i < len(s.args); i++ {
		name, value := s.args[i].text, s.text(i+1)
		switch name {
		case "level":
			if value != "user" && value != "operator" && value != "admin" {
				s.errorf(i, "'level' of 'stats socket' expects 'user', 'operator' or 'admin', not '%s'", value)
				return false
			}
			sock.Level = value
			i++
		case "mode":
			i++
			sock.Mode = s.permissions(i, "stats socket")
		case "expose-fd", "name", "severity-output":
			i++
		case "maxconn", "backlog":
			if i++; !s.ignoredAt(i, name, "n") {
				return false
			}
		case "process", "thread":
			if i++; !s.ignoredAt(i, name, "threads") {
				return false
			}
		case "user", "group", "uid", "gid":
			if value == "" {
				s.errorf(i, "'stats socket' : '%s' expects a value", name)
				return false
			}
			s.noticef(i, "'%s' of 'stats socket' is ignored: the socket belongs to the user waggle runs as; set 'mode'", name)
			i++
		default:
			s.errorf(i, "'stats socket' : unknown keyword '%s'%s", name, didYouMean(name, []string{"level", "mode", "expose-fd", "user", "group", "uid", "gid", "name", "maxconn"}))
			return false
		}
	}
	return true
}

// ignoredAt looks at argument i, the value of a parameter that is passed by.
func (s *statement) ignoredAt(i int, name, kind string) bool {
	if err := checkIgnored(name, kind, s.text(i)); err != nil {
		s.errorf(min(i, len(s.args)-1), "'stats socket' : %s", err)
		return false
	}
	return true
}

func socketPath(target string) (string, bool) {
	if path, ok := strings.CutPrefix(target, "unix@"); ok && path != "" {
		return path, true
	}
	return target, target[0] == '/' || target[0] == '.'
}
