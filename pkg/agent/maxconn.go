package agent

import "waggle/pkg/config"

// maxConn is the process's limit: what was configured, or what the file descriptors allow (HAProxy, section 3.2, maxconn).
func maxConn(cfg *config.Config) int {
	if cfg.Global.MaxConn > 0 {
		return cfg.Global.MaxConn
	}
	const reserved = 200 // listeners, epoll, pipes, health checks, maps
	return max(1, (openFiles()-reserved)/descriptors(cfg))
}

// descriptors is what a client's connection takes with a request in hand: its socket and the one to a server. TLS and
// HTTP/2 put an adapter with a pair of sockets in between, on either side. Streams of HTTP/2 beyond the first take as
// many as another connection; where none are left a stream gets 503, and listeners wait.
func descriptors(cfg *config.Config) int {
	client, server := 1, 1
	for _, p := range cfg.Proxies {
		if p.Disabled {
			continue
		}
		for i := range p.Binds {
			if b := &p.Binds[i]; b.TLS.Enabled || b.Proto == "h2" {
				client = 3
			}
		}
		for i := range p.Servers {
			if p.Servers[i].TLS.Enabled {
				server = 3
			}
		}
	}
	return client + server
}
