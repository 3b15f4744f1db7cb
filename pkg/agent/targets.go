package agent

import (
	"net/netip"
	"slices"

	"waggle/pkg/balance"
	"waggle/pkg/datapath"
	"waggle/pkg/pool"
)

// algorithm is the backend's, in the kernel's words.
func (s *service) algorithm() (a datapath.Algorithm, draws uint32) {
	line := s.verdict.Backend.Balance
	switch line.Algorithm {
	case "leastconn":
		return datapath.LeastConn, 0
	case "first":
		return datapath.First, 0
	case "source":
		return datapath.Source, 0
	case "random":
		n, err := balance.Draws(line.Args)
		if err != nil { // the parser has seen to it
			n = 1
		}
		return datapath.Random, uint32(min(n, datapath.MaxDraws))
	}
	return datapath.RoundRobin, 0
}

func (s *service) timeouts() datapath.Timeouts {
	client, server := s.verdict.Proxy.Timeouts, s.verdict.Backend.Timeouts
	return datapath.Timeouts{
		Connect: server.Connect, Client: client.Client, Server: server.Server, Tunnel: server.Tunnel,
		ClientFin: client.ClientFin, ServerFin: server.ServerFin,
	}
}

// targets is what userspace chooses from too, in the kernel's words. A backend with a link-local server, which is
// an address on one interface only, is left to userspace whole: shares must be those configured. So is one whose source
// cannot be the kernel's: servers of a name may turn out to be of another family, and those that an operator adds have
// parameters of their own.
func (s *service) targets() (schedule []uint32, servers []datapath.Server) {
	snap := s.backend.Snapshot()
	if s.snapshot != snap {
		s.snapshot, s.schedule, s.servers = snap, nil, nil
		for _, i := range balance.Table(s.verdict.Backend.Balance.Algorithm, snap.Targets) {
			s.schedule = append(s.schedule, snap.Targets[i].Server.Key)
		}
		for _, t := range snap.Targets {
			s.servers = append(s.servers, datapath.Server{
				ID: t.Server.Key, Name: s.backend.Name + "/" + t.Server.Name, Addr: t.Addr, Weight: uint32(t.Effective), Sources: sources(t.Server),
			})
		}
	}
	servers = slices.Clone(s.servers)
	for i, t := range snap.Targets {
		src := t.Server.Source
		if t.Addr.Addr().Zone() != "" || src.Interface != "" || src.Low != 0 ||
			len(servers[i].Sources) > 0 && src.Addr.Is4() != t.Addr.Addr().Is4() {
			return nil, nil
		}
		servers[i].Limit = uint32(t.Server.Limit())
	}
	return s.schedule, servers
}

// sources are the addresses that connections to a server come from by its configuration; nil if it names none.
func sources(s *pool.Server) []netip.Addr {
	if addr := s.Source.Addr; addr.IsValid() && !addr.IsUnspecified() {
		return []netip.Addr{addr}
	}
	return nil
}
