package stats

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"waggle/pkg/config"
)

// warnings lists everything that an operator should look into, each a sentence.
func warnings(s *Snapshot) []string {
	var all []string
	if s.Process.Stopping {
		all = append(all, "The process is stopping: it takes no new connections and ends with the last one.")
	}
	if s.Process.Config.Failed {
		text := "The configuration could not be loaded at the last attempt; the one before it stays in use"
		if s.Process.Config.Failure != "" {
			text += ": " + s.Process.Config.Failure
		}
		all = append(all, strings.TrimSuffix(text, ".")+".")
	}
	for _, d := range s.Datapath.Degraded {
		all = append(all, "Kernel path: "+strings.TrimPrefix(d, "kernel path unavailable: "))
	}
	for _, sp := range s.surpluses() {
		if len(sp.Tasks) > 0 {
			all = append(all, fmt.Sprintf("Backend %s: the name %s has %s more than its %s; without traffic: %s.", sp.Proxy, sp.Name,
				plural(len(sp.Tasks), "task"), plural(sp.Slots, "slot"), strings.Join(sp.Tasks, ", ")))
		}
	}
	return append(all, s.Warnings...)
}

// processItems describes the process. What tells a version is left out on hide-version.
func processItems(s *Snapshot, cfg *config.Stats) []item {
	p, c := &s.Process, newProcessCounts(s)
	pp := &c.pool.Process
	items := []item{
		{"pid", strconv.Itoa(p.PID)},
		{"uptime", longUptime(c.uptime)},
		{"event loops", orUnknown(p.Loops)},
		{"connections", fmt.Sprintf("%s of %s", grouped(pp.Conns.Load()), orUnlimited(p.limit(c.pool)))},
		{"most at once", grouped(pp.Conns.Max())},
		{"connections/s", rateText(pp.ConnRate.Cur(), pp.ConnRate.Max())},
		{"sessions/s", rateText(pp.SessRate.Cur(), pp.SessRate.Max())},
		{"requests/s", rateText(pp.ReqRate.Cur(), pp.ReqRate.Max())},
		{"to clients/s", bytesText(int64(pp.OutRate.Cur())) + ", at most " + bytesText(int64(pp.OutRate.Max()))},
		{"loops idle", fmt.Sprintf("%d %%", 100-p.BusyPercent)},
		{"open files", "limit " + orUnknown(p.MaxFiles)},
		{"listeners", strconv.Itoa(p.Listeners)},
		{"warnings logged", grouped(int64(p.WarningCount))},
	}
	if p.DroppedLogs > 0 {
		items = append(items, item{"log lines lost", grouped(int64(p.DroppedLogs))})
	}
	if len(p.Config.Files) > 0 {
		items = append(items, item{"configuration", strings.Join(p.Config.Files, ", ")})
	}
	if !cfg.HideVersion {
		items = append(items, item{"speaks", "HAProxy " + ClaimedVersion})
		if p.Revision != "" {
			items = append(items, item{"revision", p.Revision})
		}
		if p.GoVersion != "" {
			items = append(items, item{"built with", p.GoVersion})
		}
	}
	return items
}

func rateText(cur, most uint64) string {
	return fmt.Sprintf("%s, at most %s", grouped(int64(cur)), grouped(int64(most)))
}

func orUnknown(n int) string {
	if n == 0 {
		return "unknown"
	}
	return grouped(int64(n))
}

func orUnlimited(n int) string {
	if n == 0 {
		return "unlimited"
	}
	return grouped(int64(n))
}

// pathsView tells which path serves what, and how the kernel path is.
type pathsView struct {
	Mode      string
	State     string // a sentence
	Frontends []frontendPath
	Reasons   []reasonView
	Maps      []mapView
}

type frontendPath struct {
	Name, Path, Reason string
	Kernel             bool
}

type reasonView struct {
	Reason
	Class, CountText string
}

type mapView struct {
	MapUse
	Text string
	High uint64 // from here on it is worth a look
}

func newPathsView(s *Snapshot) pathsView {
	d := &s.Datapath
	v := pathsView{Mode: d.Mode, State: datapathState(d)}
	if v.Mode == "" {
		v.Mode = "off"
	}
	for i := range s.Proxies {
		if fe := s.Proxies[i].Frontend; fe != nil {
			p := fe.Path()
			fp := frontendPath{Name: fe.Name, Path: "userspace", Reason: p.Reason, Kernel: p.Kernel}
			if p.Kernel {
				fp.Path = "kernel"
			} else if slices.Contains(d.Degraded, p.Reason) {
				fp.Reason = "the kernel path is not there; why is said above"
			}
			v.Frontends = append(v.Frontends, fp)
		}
	}
	for _, r := range d.Reasons {
		if r.Count == 0 {
			continue
		}
		rv := reasonView{Reason: r, CountText: grouped(int64(r.Count))}
		if !r.Expected {
			rv.Class = "warn"
		}
		v.Reasons = append(v.Reasons, rv)
	}
	for _, m := range d.Maps {
		v.Maps = append(v.Maps, mapView{MapUse: m, High: m.Max / 5 * 4,
			Text: fmt.Sprintf("%s of %s", grouped(int64(m.Entries)), grouped(int64(m.Max)))})
	}
	return v
}

func datapathState(d *Datapath) string {
	if d.Mode == "" || d.Mode == "off" {
		return "The kernel path is off: userspace carries all connections."
	}
	if len(d.Interfaces) == 0 {
		return "The kernel path is not attached to any interface."
	}
	var names, without []string
	for _, i := range d.Interfaces {
		name := i.Name
		if i.Attach != "" {
			name += " (" + i.Attach + ")"
		}
		names = append(names, name)
		if i.WithoutXDP != "" {
			without = append(without, i.Name+" ("+i.WithoutXDP+")")
		}
	}
	state := "The kernel path is attached to " + strings.Join(names, ", ") + "."
	if len(without) > 0 {
		state += " No XDP on " + strings.Join(without, ", ") + "."
	}
	if d.Runs > 0 {
		state += fmt.Sprintf(" A packet takes it %s ns.", grouped(d.RunTime.Nanoseconds()/int64(d.Runs)))
	}
	return state
}
