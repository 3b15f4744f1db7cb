package cli

import (
	"fmt"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"

	"waggle/pkg/config"
)

// rareFlags are HAProxy's other flags. Scripts and units pass them, people hardly ever: the help names them
// in one line.
func rareFlags() []oneFlag {
	accept := func(*settings, string) error { return nil }
	ignored := func(name, why string) func(*settings, string) error {
		return func(s *settings, _ string) error {
			s.notices = append(s.notices, fmt.Sprintf("flag -%s has no effect: %s", name, why))
			return nil
		}
	}
	return []oneFlag{
		{"D", "", "accepted with a notice: waggle stays in the foreground", ignored("D", "waggle stays in the foreground")},
		{"Ws", "", "accepted: systemd is told without it, too", accept},
		{"S", " BIND", "no effect", ignored("S", "there is no master process")},
		{"p", " FILE", "write the process id there", func(s *settings, v string) error { s.pidFile = v; return nil }},
		{"L", " NAME", "this process's name in peers sections", func(s *settings, v string) error { s.localPeer = v; return nil }},
		{"n", " N", "maxconn of the process", func(s *settings, v string) error { return positive(&s.maxConn, v) }},
		{"N", " N", "maxconn of frontends that have none", func(s *settings, v string) error { return positive(&s.proxyMaxConn, v) }},
		{"m", " MB", "memory to stay below if possible", func(s *settings, v string) error { return positive(&s.memory, v) }},
		{"C", " DIR", "change to this directory first", func(s *settings, v string) error { s.dir = v; return nil }},
		{"dr", "", "start although names do not resolve", func(s *settings, _ string) error { s.noResolve = true; return nil }},
		{"dW", "", "warnings are errors, as check --strict", func(s *settings, _ string) error { s.strict = true; return nil }},
		{"dD", "", "accepted", accept},
		{"dM", "", "no effect", ignored("dM", "memory is Go's")},
		{"dI", "", "accepted", accept},
		{"sf", " PID…", "soft stop these processes once ready to listen", nil},
		{"st", " PID…", "stop these processes once ready to listen", nil},
		{"x", " SOCKET", "no effect", ignored("x", "sockets are not handed over; both processes listen until the old one stops")},
		{"cc", " CONDITION", "evaluate a condition of .if: exit code 0 true, 1 false, 2 not readable", func(s *settings, v string) error {
			s.condition = &v
			return nil
		}},
	}
}

func positive(into *int, v string) error {
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 1<<30 {
		return fmt.Errorf("%q is not a number above 0", v)
	}
	*into = n
	return nil
}

// evaluate is -cc.
func evaluate(e Env, condition string) int {
	holds, err := config.EvaluateCondition(condition, config.LoadOptions{Getenv: e.Getenv})
	switch {
	case err != nil:
		fmt.Fprintf(e.Stderr, "[ALERT]    (%d) : config : Failed to evaluate condition: %v\n", os.Getpid(), err)
		return ExitUsage
	case holds:
		return ExitOK
	}
	return ExitFailed
}

// takePIDs reads the process ids that follow -sf and -st, as many as there are.
func (s *settings) takePIDs(flag string, args []string) (rest []string) {
	for len(args) > 0 {
		pid, err := strconv.Atoi(args[0])
		if err != nil || pid < 1 {
			break
		}
		s.stop = append(s.stop, stopped{pid: pid, soft: flag == "sf"})
		args = args[1:]
	}
	return args
}

// stopped is an older process that makes room for this one.
type stopped struct {
	pid  int
	soft bool
}

// stopOthers tells older processes to stop. One that is gone is no mistake.
func (s *settings) stopOthers() {
	for _, o := range s.stop {
		signal := unix.SIGTERM
		if o.soft {
			signal = unix.SIGUSR1
		}
		_ = unix.Kill(o.pid, signal)
	}
}

// prepare does what has to be done before the configuration is read.
func (s *settings) prepare() error {
	if s.memory > 0 {
		debug.SetMemoryLimit(int64(s.memory) << 20)
	}
	if s.dir == "" {
		return nil
	}
	if err := os.Chdir(s.dir); err != nil {
		return fmt.Errorf("flag -C: %w", err)
	}
	return nil
}

// writePID writes the pid file, if one is wanted.
func (s *settings) writePID() error {
	if s.pidFile == "" {
		return nil
	}
	if err := os.WriteFile(s.pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
		return fmt.Errorf("write pid file: %w", err)
	}
	return nil
}

// override has flags win over the configuration.
func (s *settings) override(cfg *config.Config) {
	if s.maxConn > 0 {
		cfg.Global.MaxConn = s.maxConn
	}
	for _, p := range cfg.Proxies {
		if s.proxyMaxConn > 0 && p.Kind.HasFrontend() && p.MaxConn == 0 {
			p.MaxConn = s.proxyMaxConn
		}
		for i := range p.Servers {
			line := &p.Servers[i]
			if s.noResolve && !line.Addr.Addr().IsValid() {
				line.InitAddr = appendNone(line.InitAddr)
			}
		}
	}
}

// appendNone makes "start without an address" the last resort.
func appendNone(methods []config.InitAddr) []config.InitAddr {
	if len(methods) == 0 {
		methods = []config.InitAddr{{Method: "last"}, {Method: "libc"}}
	}
	return append(methods[:len(methods):len(methods)], config.InitAddr{Method: "none"})
}

// listens says whether there is anything to listen on, as HAProxy's check asks.
func listens(cfg *config.Config) bool {
	for _, p := range cfg.Proxies {
		if !p.Disabled && p.Kind.HasFrontend() && len(p.Binds) > 0 {
			return true
		}
	}
	return false
}
