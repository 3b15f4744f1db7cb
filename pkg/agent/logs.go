package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/sample"
)

// logs are the targets that a configuration's `log` lines name. What people read on a terminal goes
// to the process log beside them. Targets that the next configuration names too stay open.
type logs struct {
	log     *slog.Logger
	byProxy map[string]*accesslog.Logger // absent: the proxy does not log
	keys    []string                     // of the shelf, that these logs use
	rings   []*accesslog.Ring            // in file order
	shelf   *logShelf
}

// logShelf holds every set of targets that is open, for as long as the logs of some configuration use it.
type logShelf struct {
	warnings atomic.Uint64

	mu    sync.Mutex
	open  map[string]*shelved
	rings map[string]*shelvedRing
	lost  uint64 // lines that sets found no room for which are closed now
}

type shelved struct {
	*accesslog.Logger
	users int
}

// openLogs opens every set of targets once, however many proxies share it.
func openLogs(cfg *config.Config, log *slog.Logger) (*logs, error) {
	return (&logShelf{open: make(map[string]*shelved), rings: make(map[string]*shelvedRing)}).logs(cfg, log)
}

// next opens the logs of another configuration, which share with these what is the same. Both are closed by themselves.
func (l *logs) next(cfg *config.Config) (*logs, error) { return l.shelf.logs(cfg, l.log) }

func (f *logShelf) logs(cfg *config.Config, log *slog.Logger) (*logs, error) {
	l := &logs{log: log, byProxy: map[string]*accesslog.Logger{}, shelf: f}
	for _, r := range cfg.Rings {
		l.rings = append(l.rings, f.takeRing(ringConfig(r)))
	}
	for _, p := range cfg.Proxies {
		targets := targetsOf(p.Logs, cfg.Global.Logs, l.rings)
		if len(targets) == 0 || p.Disabled {
			continue
		}
		opts := logOptions(p, &cfg.Global)
		key := fmt.Sprintf("%+v %+v", targets, opts)
		logger, err := f.take(key, targets, opts)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("proxy %s: %w", p.Name, err), l.close())
		}
		l.keys = append(l.keys, key)
		l.byProxy[p.Name] = logger
	}
	return l, nil
}

// take counts a user of a set of targets, which it opens if it is the first.
func (f *logShelf) take(key string, targets []accesslog.Target, opts accesslog.Options) (*accesslog.Logger, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.open[key]
	if s == nil {
		logger, err := accesslog.New(targets, opts)
		if err != nil {
			return nil, err
		}
		s = &shelved{Logger: logger}
		f.open[key] = s
	}
	s.users++
	return s.Logger, nil
}

// giveBack undoes take; the last user closes the targets.
func (f *logShelf) giveBack(key string) error {
	f.mu.Lock()
	s := f.open[key]
	s.users--
	last := s.users == 0
	if last {
		delete(f.open, key)
	}
	f.mu.Unlock()
	if !last {
		return nil
	}
	err := s.Close()
	f.mu.Lock()
	f.lost += s.Dropped()
	f.mu.Unlock()
	return err
}

// logOptions are what `log-tag` and `log-send-hostname` say. Without a name the latter means the system's.
func logOptions(p *config.Proxy, g *config.Global) accesslog.Options {
	o := accesslog.Options{Tag: p.LogTag}
	if o.Tag == "" {
		o.Tag = g.LogTag
	}
	if g.LogSendHostname != nil {
		if o.Hostname = *g.LogSendHostname; o.Hostname == "" {
			o.Hostname, _ = os.Hostname()
		}
	}
	return o
}

// targetsOf resolves `log global`.
func targetsOf(lines, global []config.LogTarget, rings []*accesslog.Ring) []accesslog.Target {
	var targets []accesslog.Target
	for _, t := range lines {
		if t.Inherit {
			targets = append(targets, targetsOf(global, nil, rings)...)
			continue
		}
		targets = append(targets, accesslog.Target{
			Address: t.Address, Format: t.Format, Length: t.Length, Facility: t.Facility, Level: t.Level, MinLevel: t.MinLevel, Sample: accesslog.Sample(t.Sample),
			Ring: ringNamed(rings, t.Address),
		})
	}
	return targets
}

// of says whether a proxy logs its sessions.
func (l *logs) of(p *config.Proxy) bool { return l.byProxy[p.Name] != nil }

// access logs one finished session or request, in the form that the frontend's options ask for.
func (l *logs) access(p *config.Proxy, e *accesslog.Entry) {
	logger := l.byProxy[p.Name]
	if logger == nil {
		return
	}
	failed := failure(e)
	if unwanted(p, e, failed) {
		return
	}
	e.Data = p.LogFormatSD
	switch {
	case p.ErrorLogFormat != nil && cameToNothing(e):
		e.Style, e.Format = accesslog.Custom, p.ErrorLogFormat
	case e.Fault != sample.ConnOK:
		e.Style, e.Data = accesslog.Failed, nil // as with HAProxy
	case p.LogFormat != nil:
		e.Style, e.Format = accesslog.Custom, p.LogFormat
	case p.Options.HTTPLog && p.HTTP:
		e.Style = accesslog.HTTP
	case p.Options.TCPLog || p.Options.HTTPLog:
		e.Style = accesslog.TCP
	default:
		e.Style = accesslog.Connect
	}
	e.Err = p.Options.LogSeparateErrors && failed
	logger.Log(e)
}

// cameToNothing says whether an entry is of a connection that failed before it carried anything, or of bytes that were no
// request: what HAProxy calls errors of the frontend's side.
func cameToNothing(e *accesslog.Entry) bool {
	return e.Fault != sample.ConnOK || e.HTTPMode && e.Request == nil
}

// failure says whether an entry is of a request or session that did not go well: what HAProxy's manual, section 8.3.4,
// lists, errors, timeouts, retries, redispatches and statuses from 500 on. An answer of the process itself ('L') is none.
func failure(e *accesslog.Entry) bool {
	switch e.State[0] {
	case '-':
		return e.Status >= 500 || e.Redispatched || e.Retries > 0
	case 'L':
		return e.Status >= 500 || e.Redispatched
	}
	return true
}

// unwanted says whether the options of a frontend keep an entry out of the log.
func unwanted(p *config.Proxy, e *accesslog.Entry, failed bool) bool {
	null := !e.HTTPMode && e.Uploaded == 0 && e.Fault == sample.ConnOK // of HTTP and of faults the engine knows
	return p.Options.DontLogNormal && !failed || p.Options.DontLogNull && null
}

// event logs a change of state: to the backend's targets in HAProxy's words, and to the process log.
func (l *logs) event(e pool.Event) {
	if e.Text == "" {
		return
	}
	level, severity := slog.LevelInfo, accesslog.Notice
	switch e.Level {
	case pool.Warning:
		level, severity = slog.LevelWarn, accesslog.Warning
	case pool.Alert:
		level, severity = slog.LevelWarn, accesslog.Alert
	case pool.Emergency:
		level, severity = slog.LevelError, accesslog.Emerg
	}
	if level > slog.LevelInfo {
		l.shelf.warnings.Add(1)
	}
	l.log.Log(context.Background(), level, e.Text)
	if logger := l.byProxy[e.Backend.Name]; logger != nil {
		logger.Process(severity, e.Text)
	}
}

// stopped says of each proxy that it takes no connections any more, in HAProxy's words and order: frontends first.
func (l *logs) stopped(cfg *config.Config, p *pool.Pool) {
	for _, frontends := range []bool{true, false} {
		for _, proxy := range cfg.Proxies {
			if proxy.Disabled || proxy.Kind.HasFrontend() != frontends {
				continue
			}
			var taken, passed uint64
			if f := p.Frontend(proxy.Name); f != nil && frontends {
				taken = f.Counters.Sum().Connections
			}
			if b := p.Backend(proxy.Name); b != nil && proxy.Kind.HasBackend() {
				passed = b.Counters.Sum().Sessions
			}
			text := fmt.Sprintf("Proxy %s stopped (cumulated conns: FE: %d, BE: %d).", proxy.Name, taken, passed)
			l.log.Info(text)
			if logger := l.byProxy[proxy.Name]; logger != nil {
				logger.Process(accesslog.Warning, text)
			}
		}
	}
}

// dropped is the number of lines that found no room, of all configurations.
func (l *logs) dropped() uint64 {
	l.shelf.mu.Lock()
	defer l.shelf.mu.Unlock()
	n := l.shelf.lost
	for _, s := range l.shelf.open {
		n += s.Dropped()
	}
	for _, r := range l.shelf.rings {
		n += r.Dropped()
	}
	return n
}

// warnings is the number of warnings and worse that were logged since the start.
func (l *logs) warnings() uint64 { return l.shelf.warnings.Load() }

func (l *logs) close() error {
	var errs []error
	for _, key := range l.keys {
		errs = append(errs, l.shelf.giveBack(key))
	}
	for _, r := range l.rings { // behind those that write to them
		errs = append(errs, l.shelf.giveBackRing(r))
	}
	l.keys, l.rings = nil, nil
	return errors.Join(errs...)
}
