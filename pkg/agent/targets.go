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

// targets is what userspace chooses from too, in the kernel's words. A backend with a server that cannot be the kernel's is left
// to userspace whole: shares must be those configured.
func (s *service) targets() (schedule []uint32, servers []datapath.Server) {
	snap := s.backend.Snapshot()
	if s.snapshot != snap {
		s.snapshot, s.schedule, s.servers = snap, nil, nil
		for _, i := range balance.Table(s.verdict.Backend.Balance.Algorithm, snap.Targets) {
			s.schedule = append(s.schedule, s.index.id(snap.Targets[i].Server))
		}
		for _, t := range snap.Targets {
			s.servers = append(s.servers, datapath.Server{
				ID: s.index.id(t.Server), Name: s.backend.Name + "/" + t.Server.Name, Addr: t.Addr, Weight: uint32(t.Effective), Sources: sources(t.Server),
			})
		}
	}
	servers = slices.Clone(s.servers)
	for i, t := range snap.Targets {
		if !kernelCan(t) {
			return nil, nil
		}
		servers[i].Limit = uint32(t.Server.Limit())
	}
	if a, _ := s.algorithm(); (a == datapath.LeastConn || a == datapath.First) && len(s.schedule) > datapath.MaxScan {
		return nil, nil
	}
	return s.schedule, servers
}

// kernelCan says of a server what the verdict about the configuration could not know: one of a name may turn out to be of another
// family than its source, or link-local, which is an address on one interface only, and those that an operator adds have
// parameters of their own.
func kernelCan(t pool.Target) bool {
	s, addr := t.Server, t.Addr.Addr()
	return addr.Zone() == "" && !addr.Is4In6() && t.Addr.Port() != 0 && !s.MapPort && s.SendProxy == 0 &&
		s.Source.Interface == "" && s.Source.Low == 0 && (len(sources(s)) == 0 || s.Source.Addr.Is4() == addr.Is4())
}

// sources are the addresses that connections to a server come from by its configuration; nil if it names none.
func sources(s *pool.Server) []netip.Addr {
	if addr := s.Source.Addr; addr.IsValid() && !addr.IsUnspecified() {
		return []netip.Addr{addr}
	}
	return nil
}
