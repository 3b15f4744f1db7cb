package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"

	"waggle/pkg/agent"
	"waggle/pkg/config"
)

// runCommand is `waggle [run] …`, with all that HAProxy's flags make of it.
func runCommand(ctx context.Context, e Env, args []string) int {
	s, err := parseFlags(e, args)
	if err != nil {
		return failUsage(e, err)
	}
	switch {
	case s.version, s.longVersion:
		return printVersion(e, s.longVersion, s.json)
	case s.condition != nil:
		return evaluate(e, *s.condition)
	case s.check:
		return check(e, s)
	}
	e, lost, end := e.patient()
	defer end()
	if err := s.prepare(); err != nil {
		return failStart(e, err)
	}
	var said strings.Builder
	watch := s.watchFiles() // before they are read
	cfg, code := load(e.with(&said), s)
	if cfg == nil {
		return code
	}
	if code := checkCertificates(e, s, cfg); code != ExitOK {
		return code
	}
	if err := s.writePID(); err != nil {
		return failStart(e, err)
	}
	log := logger(e, s)
	a, err := agent.New(ctx, agent.Options{
		Config: cfg, Files: s.files, Version: agent.BuildVersion(),
		Datapath: agent.DatapathMode(s.datapath), PinDir: s.pinDir, KeepDatapath: s.keepDatapath, Follows: len(s.stop) > 0, Ifaces: s.ifaces, FlowMax: s.flowMax,
		BPFStats: s.bpfStats, PortMin: s.portMin, PortMax: s.portMax, Sources: s.sources, AllSources: s.allSources,
		HAProxyHold: s.dnsHold == "haproxy", SubnetGuard: s.subnetGuard,
		Loops: s.loops, HealthSocket: s.healthSocket, HealthAddress: s.healthAddress,
		StartupLogs: startupLines(said.String()),
		Load:        func() (*config.Config, []string, error) { return reload(e, s) },
		Watch:       watch,
		Logger:      log, LostLines: lost,
	})
	if err != nil {
		return failStart(e, err)
	}
	s.stopOthers()
	dropPrivileges(log, s.keepPrivileges)
	if err := a.Run(ctx); err != nil {
		return failStart(e, err)
	}
	return ExitOK
}

// watchFiles says how the files are watched, nil if they are not.
func (s *settings) watchFiles() *agent.Watch {
	if s.watch == 0 {
		return nil
	}
	w := &agent.Watch{Every: s.watch, Fingerprint: func() ([32]byte, error) { return config.Fingerprint(s.files, config.LoadOptions{}) }}
	w.Loaded, _ = w.Fingerprint() // whoever reads them next says what is wrong
	return w
}

// dropPrivileges leaves the process with what a running balancer uses. It goes on without: it was started with more.
func dropPrivileges(log *slog.Logger, keep bool) {
	if keep {
		return
	}
	switch err := agent.DropPrivileges(); {
	case errors.Is(err, syscall.ENOTSUP):
		log.Warn("capabilities are not dropped: this program was built with cgo; build it with CGO_ENABLED=0")
	case err != nil:
		log.Warn("capabilities are not dropped", "err", err)
	}
}

// reload reads the configuration anew, as at the start. The error is what is shown of one that cannot be used.
func reload(e Env, s *settings) (*config.Config, []string, error) {
	var said strings.Builder
	s.notices = nil // of the command line, which is the same
	cfg, _ := load(e.with(&said), s)
	if cfg != nil && checkCertificates(e.with(&said), s, cfg) != ExitOK {
		cfg = nil
	}
	lines := startupLines(said.String())
	if cfg != nil {
		return cfg, lines, nil
	}
	for _, line := range lines {
		if _, text, ok := strings.Cut(line, ") : "); ok && strings.HasPrefix(line, "[ALERT]") {
			return nil, lines, agent.LoadError(text)
		}
	}
	return nil, lines, agent.LoadError("it cannot be read")
}

// with has what goes to standard error written to w, too.
func (e Env) with(w io.Writer) Env {
	e.Stderr = io.MultiWriter(w, e.Stderr) // in this order: standard error may be gone
	return e
}

func startupLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// failStart reports what kept waggle from running, in HAProxy's form.
func failStart(e Env, err error) int {
	for _, one := range agent.Split(err) {
		fmt.Fprintf(e.Stderr, "[ALERT]    (%d) : %v\n", os.Getpid(), one)
	}
	return ExitFailed
}

var noFile = usageError{"no configuration file: give one with -f"}

// load reads the configuration and prints all that there is to say about it. The configuration is nil
// if it cannot be used, and then the code says how to exit.
func load(e Env, s *settings) (*config.Config, int) {
	if len(s.files) == 0 {
		return nil, failUsage(e, noFile)
	}
	var said found
	cfg := said.load(e, s)
	said.print(e.Stderr)
	if cfg != nil {
		return cfg, ExitOK
	}
	if said.unusable {
		fmt.Fprintf(e.Stderr, "[ALERT]    (%d) : config : Error(s) found in configuration file : %s\n", os.Getpid(), strings.Join(s.files, ", "))
	}
	return nil, ExitFailed
}

func logger(e Env, s *settings) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.logLevel}
	if s.quiet && s.logLevel < slog.LevelError {
		options.Level = slog.LevelError
	}
	if s.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(e.Stderr, options))
	}
	return slog.New(slog.NewTextHandler(e.Stderr, options))
}

func warned(remarks config.Diagnostics) bool {
	return slices.ContainsFunc(remarks, func(d config.Diagnostic) bool { return d.Severity == config.Warning })
}
