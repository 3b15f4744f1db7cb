package check

import (
	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// SpecOf is how a server's line and its backend say that the server is checked. node is this balancer's name.
func SpecOf(s *pool.Server, backend *config.Proxy, line *config.Server, node string) Spec {
	return Spec{
		Server: s, Options: line.Check, Agent: line.Agent, Check: backend.Check, Node: node, TLS: tlsOf(line),
		ConnectTimeout: backend.Timeouts.Connect, CheckTimeout: backend.Timeouts.Check,
	}
}
