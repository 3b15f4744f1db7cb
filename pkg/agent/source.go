package agent

import (
	"cmp"
	"fmt"
	"os"
	"runtime/metrics"
	"slices"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/datapath"
	"waggle/pkg/resolver"
	"waggle/pkg/stats"
)

// Snapshot implements [stats.Source]: the counters of the kernel path are brought home first, so that a
// report made right after traffic shows it.
func (a *Agent) Snapshot() *stats.Snapshot {
	a.kernel.collect()
	g := a.now()
	s := &stats.Snapshot{
		Now: time.Now(), Pool: g.pool,
		Process:  a.process(g),
		Datapath: a.datapath(),
	}
	for _, p := range g.cfg.Proxies {
		if !p.Disabled {
			s.Proxies = append(s.Proxies, section(g, p))
		}
	}
	for _, c := range a.engine.Certificates() {
		s.Certificates = append(s.Certificates, stats.Certificates(c))
	}
	for _, r := range g.resolvers {
		s.Resolvers = append(s.Resolvers, resolverStats(r))
		s.Warnings = append(s.Warnings, discoveryWarnings(r)...)
	}
	for _, t := range a.engine.StickTables() {
		s.Tables = append(s.Tables, stats.StickTable{Name: t.Config().Name, Type: t.Config().Type, Used: t.Used(), Size: t.Config().Size})
	}
	s.Warnings = append(s.Warnings, shortageWarnings(s.Process.Shortages, s.Now)...)
	return s
}

// shortageNews is for how long a shortage is worth a warning.
const shortageNews = time.Minute

// shortageWarnings says that connections could not be opened lately.
func shortageWarnings(n stats.Shortages, now time.Time) []string {
	if n.Last.IsZero() || now.Sub(n.Last) > shortageNews {
		return nil
	}
	return []string{fmt.Sprintf("Out of descriptors, memory or source ports within the last minute: %d times a client had to wait, %d times no connection to a server could be opened since the start.",
		n.Accepts, n.Connects)}
}

// resolverStats brings a resolvers section's counters into the form of the reports.
func resolverStats(r *resolver.Resolver) stats.Resolvers {
	section := stats.Resolvers{Name: r.Name()}
	for _, n := range r.Counters() {
		section.Nameservers = append(section.Nameservers, stats.Nameserver{
			Name: n.Name, Sent: n.Sent, SendErrors: n.SendErrors, Valid: n.Valid, Update: n.Update,
			CNAME: n.CName, CNAMEErrors: n.CNameError, AnyErrors: n.AnyErr, NX: n.NX, Timeout: n.Timeout,
			Refused: n.Refused, Other: n.Other, Invalid: n.Invalid, TooBig: n.TooBig,
			Truncated: n.Truncated, Outdated: n.Outdated,
		})
	}
	t := r.Totals()
	section.Events = []stats.NamedCount{
		{Name: "cycle", Value: t.Cycles}, {Name: "leaving", Value: t.Leaving}, {Name: "refused", Value: t.Refused},
		{Name: "kept_healthy", Value: t.KeptHealthy}, {Name: "tcp", Value: t.TCP}, {Name: "plain_dns", Value: t.PlainDNS},
		{Name: "capped", Value: t.Capped},
	}
	return section
}

// discoveryWarnings says what about a section's names an operator should look into.
func discoveryWarnings(r *resolver.Resolver) []string {
	var warnings []string
	for _, n := range r.Status() {
		switch {
		case n.VIP:
			warnings = append(warnings, fmt.Sprintf("'%s' is the virtual address of its service, so all traffic goes through IPVS and only one slot is used: "+
				"set endpoint_mode: dnsrr, or use the name tasks.%s.", n.Name, n.Name))
		case len(n.Refused) > 0:
			warnings = append(warnings, fmt.Sprintf("'%s' has %d addresses in no attached subnet; they get no traffic (--subnet-guard=off accepts them).",
				n.Name, len(n.Refused)))
		}
	}
	return warnings
}

func section(g *generation, p *config.Proxy) stats.Proxy {
	row := stats.Proxy{Config: p}
	if p.Kind.HasFrontend() {
		row.Frontend = g.pool.Frontend(p.Name)
	}
	if p.Kind.HasBackend() {
		row.Backend = g.pool.Backend(p.Name)
	}
	return row
}

func (a *Agent) process(g *generation) stats.Process {
	at, failure := a.reloads.last()
	v := a.opts.Version
	p := stats.Process{
		PID: os.Getpid(), Version: v.Version, Revision: v.Revision, GoVersion: v.Go, Released: v.Released,
		Node: a.nodeName(), Description: g.cfg.Global.Description,
		Started: a.startedAt, Stopping: a.stopping.Load(),
		Loops: a.loops, MaxConn: g.maxConn, MaxFiles: openFiles(), Listeners: len(a.engine.Addrs()),
		DroppedLogs: g.logs.dropped() + a.kernel.lastCounters().LostEvents, WarningCount: g.logs.warnings(),
		Config: stats.Config{Files: a.opts.Files, LoadedAt: at, Failed: failure != "", Failure: failure},
	}
	if a.opts.LostLines != nil {
		p.DroppedLogs += a.opts.LostLines()
	}
	p.Certificates.Loaded, p.Certificates.Failed = a.engine.CertificateReloads()
	p.Shortages = stats.Shortages(a.engine.Shortages())
	p.BusyPercent, p.Spliced = int(a.busy.Load()), a.engine.Spliced()
	p.Pipes.Max, p.Pipes.Made, p.Pipes.Used = a.engine.Pipes()
	readRuntime(&p)
	return p
}

// readRuntime asks the Go runtime, without stopping the world.
func readRuntime(p *stats.Process) {
	samples := []metrics.Sample{
		{Name: "/sched/goroutines:goroutines"}, {Name: "/sched/goroutines/runnable:goroutines"},
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
	}
	metrics.Read(samples)
	p.Goroutines, p.Runnable = int(samples[0].Value.Uint64()), int(samples[1].Value.Uint64())
	p.Memory = stats.Memory{Total: samples[2].Value.Uint64(), Used: samples[3].Value.Uint64()}
}

// datapath describes the kernel path in the words of the reports.
func (a *Agent) datapath() stats.Datapath {
	k := a.kernel
	if k.path() == nil {
		d := stats.Datapath{Mode: "off"}
		if warning := k.lastWarning(); warning != "" {
			d.Degraded = []string{warning}
		}
		return d
	}
	status := k.path().Status()
	d := stats.Datapath{Mode: string(status.Mode), Degraded: status.Degraded}
	for _, i := range status.Interfaces {
		d.Interfaces = append(d.Interfaces, stats.Interface{Name: i.Name, Attach: i.Attach, WithoutXDP: i.WithoutXDP})
	}
	last := k.lastCounters()
	d.Runs, d.RunTime = last.RunTime.Runs, last.RunTime.Time
	for _, r := range datapath.Reasons() {
		d.Reasons = append(d.Reasons, stats.Reason{Name: r.Name, Text: r.Help, Count: last.Reasons[r.Name], Expected: r.Expected})
	}
	for key, server := range k.servers.all() {
		if use, ok := last.SourcePorts[key]; ok {
			d.SourcePorts = append(d.SourcePorts, stats.SourcePorts{Proxy: server.Backend.Name, Server: server.Name, Used: use.Entries, Max: use.Max})
		}
	}
	slices.SortFunc(d.SourcePorts, func(a, b stats.SourcePorts) int {
		return cmp.Or(cmp.Compare(a.Proxy, b.Proxy), cmp.Compare(a.Server, b.Server))
	})
	for _, name := range sortedKeys(last.Maps) {
		m := last.Maps[name]
		d.Maps = append(d.Maps, stats.MapUse{Name: name, Entries: uint64(m.Entries), Max: uint64(m.Max)})
	}
	return d
}
