package agent

import (
	"fmt"
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
			target := findServer(b.pool.Backend(backend), name)
			if target == nil { // its backend is disabled
				continue
			}
			for _, s := range serversOf(b.pool.Backend(p.Name), line) {
				s.Track(target)
			}
		}
	}
}

func findServer(b *pool.Backend, name string) *pool.Server {
	if b == nil {
		return nil
	}
	for _, s := range b.Servers() {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// serversOf is the servers that a line has made.
func serversOf(b *pool.Backend, line *config.Server) []*pool.Server {
	if !line.Template() {
		return []*pool.Server{findServer(b, line.Name)}
	}
	var all []*pool.Server
	for n := line.Low; n <= line.High; n++ {
		all = append(all, findServer(b, fmt.Sprintf("%s%d", line.Name, n)))
	}
	return all
}

// agentAt is where a line says that the agent of its server is.
func agentAt(line *config.Server) pool.AgentTarget {
	if !line.Agent.Enabled {
		return pool.AgentTarget{}
	}
	return pool.AgentTarget{Addr: line.Agent.Addr, Port: uint16(line.Agent.Port)}
}
