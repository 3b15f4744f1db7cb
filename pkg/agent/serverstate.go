package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/runtimeapi"
)

// savedStates is what servers were before a restart, by backend/server.
type savedStates map[string]pool.SavedServer

// mostStateWarnings bounds what is said about lines of one file; a file of another configuration has thousands.
const mostStateWarnings = 10

// readStates reads the files that load-server-state-from-file asks for. Nothing that is wrong with one keeps a balancer
// from starting.
func readStates(cfg *config.Config, log *slog.Logger) savedStates {
	saved := savedStates{}
	perFile := map[string][]*config.Proxy{}
	for _, p := range cfg.Proxies {
		if name := cfg.ServerStateFile(p); name != "" {
			perFile[name] = append(perFile[name], p)
		}
	}
	for _, name := range sortedKeys(perFile) {
		f := stateFile{name: name, log: log}
		f.read(cfg, perFile[name], saved)
		if more := f.warned - mostStateWarnings; more > 0 {
			log.Warn("more lines of the server state file were passed by", "file", name, "lines", more)
		}
	}
	return saved
}

// stateFile is a file while it is read.
type stateFile struct {
	name   string
	log    *slog.Logger
	warned int
}

func (f *stateFile) warn(why string) {
	if f.warned++; f.warned <= mostStateWarnings {
		f.log.Warn("a line of the server state file is passed by", "file", f.name, "why", why)
	}
}

// read takes the lines about the servers of the backends that use the file.
func (f *stateFile) read(cfg *config.Config, users []*config.Proxy, saved savedStates) {
	servers, ok := f.open()
	if !ok {
		return
	}
	wanted := map[string]map[string]bool{}
	for _, p := range users {
		wanted[p.Name] = map[string]bool{}
		for i := range p.Servers {
			for _, name := range p.Servers[i].Names() {
				wanted[p.Name][name] = true
			}
		}
	}
	known := map[string]bool{}
	for _, p := range cfg.Proxies {
		known[p.Name] = known[p.Name] || p.Kind.HasBackend()
	}
	taken := 0
	for _, s := range servers {
		names, used := wanted[s.Backend]
		switch {
		case used && names[s.Server]:
			saved[s.Backend+"/"+s.Server] = s
			taken++
		case used:
			f.warn(fmt.Sprintf("there is no server '%s' in backend '%s'", s.Server, s.Backend))
		case !known[s.Backend]:
			f.warn(fmt.Sprintf("there is no backend '%s'", s.Backend))
		}
	}
	f.log.Info("server states were read", "file", f.name, "servers", taken)
}

func (f *stateFile) open() ([]pool.SavedServer, bool) {
	file, err := os.Open(f.name)
	if errors.Is(err, fs.ErrNotExist) {
		f.log.Info("there is no server state file yet; servers begin anew", "file", f.name)
		return nil, false
	}
	if err == nil {
		defer file.Close()
		var servers []pool.SavedServer
		var problems []string
		servers, problems, err = runtimeapi.ReadServersState(file)
		for _, p := range problems {
			f.warn(p)
		}
		if err == nil {
			return servers, true
		}
	}
	f.log.Warn("the server state file cannot be read; servers begin anew", "file", f.name, "err", err)
	return nil, false
}

// lastAddresses are those that the servers of a line had when they were found by the same name, for init-addr's `last`. No
// address takes two slots.
func (s savedStates) lastAddresses(p *config.Proxy, line *config.Server) map[string]netip.Addr {
	last, used := map[string]netip.Addr{}, map[netip.Addr]bool{}
	for _, name := range line.Names() {
		was, ok := s[p.Name+"/"+name]
		addr := was.Addr.Addr()
		if !ok || was.FQDN != line.Host && was.Admin&pool.NameChanged == 0 || !addr.IsValid() || used[addr] && !line.AllowDupIP {
			continue
		}
		last[name], used[addr] = addr, true
	}
	return last
}

// restore gives servers what they were.
func (s savedStates) restore(p *pool.Pool) {
	for _, b := range p.Backends {
		for _, server := range b.Servers() {
			if was, ok := s[b.Name+"/"+server.Name]; ok {
				server.Restore(was)
			}
		}
	}
}
