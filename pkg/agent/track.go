package agent

import (
	"strings"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// The words of server lines, in the pool's.
var (
	initStates = map[string]pool.InitState{"up": pool.InitUp, "fully-up": pool.InitFullyUp, "down": pool.InitDown, "fully-down": pool.InitFullyDown}
	observes   = map[string]pool.Observe{"layer4": pool.ObserveL4, "layer7": pool.ObserveL7}
	onErrors   = map[string]pool.OnError{"fastinter": pool.OnErrorFastInter, "sudden-death": pool.OnErrorSuddenDeath, "mark-down": pool.OnErrorMarkDown}
)

// track has servers follow those that their lines name. The parser has seen that there are such and that they make no loop.
func (b *building) track() {
	servers := make(map[*pool.Backend]map[string]*pool.Server) // of backends that have been asked for
	find := func(of *pool.Backend, name string) *pool.Server {
		if of == nil {
			return nil
		}
		if servers[of] == nil {
			servers[of] = make(map[string]*pool.Server)
			for _, s := range of.Servers() {
				servers[of][s.Name] = s
			}
		}
		return servers[of][name]
	}
	for _, p := range b.cfg.Proxies {
		if p.Disabled || !p.Kind.HasBackend() {
			continue
		}
		for i := range p.Servers {
			line := &p.Servers[i]
			if line.Track == "" {
				continue
			}
			backend, name := p.Name, line.Track
			if in, rest, ok := strings.Cut(line.Track, "/"); ok {
				backend, name = in, rest
			}
			target := find(b.pool.Backend(backend), name)
			if target == nil { // its backend is disabled
				continue
			}
			for _, of := range line.Names() {
				find(b.pool.Backend(p.Name), of).Track(target)
			}
		}
	}
}

// agentAt is where a line says that the agent of its server is.
func agentAt(line *config.Server) pool.AgentTarget {
	if !line.Agent.Enabled {
		return pool.AgentTarget{}
	}
	return pool.AgentTarget{Addr: line.Agent.Addr, Port: uint16(line.Agent.Port)}
}
