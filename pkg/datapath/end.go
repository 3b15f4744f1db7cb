package datapath

import (
	"net/netip"
	"time"
)

// End is how a flow ended.
type End uint32

// The ends of flows. Those from EndConnectTimeout on are brought about here, the others by client or server.
const (
	// EndFIN: both sides have closed.
	EndFIN = End(lbWgEndWG_END_FIN)
	// EndClientReset and EndServerReset: one side sent a RST.
	EndClientReset = End(lbWgEndWG_END_CLIENT_RST)
	EndServerReset = End(lbWgEndWG_END_SERVER_RST)
	// EndRefused: the server answered the SYN with a RST.
	EndRefused = End(lbWgEndWG_END_REFUSED)
	// EndConnectTimeout: the server never answered the SYN.
	EndConnectTimeout = End(lbWgEndWG_END_CONNECT_TIMEOUT)
	// EndClientTimeout and EndServerTimeout: nothing happened for as long as the timeout of that side allows.
	EndClientTimeout = End(lbWgEndWG_END_CLIENT_TIMEOUT)
	EndServerTimeout = End(lbWgEndWG_END_SERVER_TIMEOUT)
	// EndServerDown: the server went down and its sessions with it (on-marked-down shutdown-sessions).
	EndServerDown = End(lbWgEndWG_END_SERVER_DOWN)
	// EndKilled: an operator ended it.
	EndKilled = End(lbWgEndWG_END_KILLED)
)

// Closed is a session that is over.
type Closed struct {
	Service, Server uint32
	// Client connected to Front; Back connected to Task.
	Client, Front, Back, Task netip.AddrPort
	End                       End
	// Started is when the SYN came, and Duration the time from then to the end. The kernel's coarse clock gives both, which
	// moves once in a few milliseconds.
	Started  time.Time
	Duration time.Duration
	// Connect is the time from the SYN to the server's answer, negative if there was none.
	Connect time.Duration
	// BytesIn and BytesOut are TCP payload from and to the client.
	BytesIn, BytesOut uint64
	// RetriesLeft is what was left of Service.Retries, and Redispatched whether another server than the first one was tried.
	RetriesLeft  uint32
	Redispatched bool
	// Total, InService and InServer count the established flows at the end, this one among them: all, those of its
	// service, and those of its server over all services.
	Total, InService, InServer int
}

func makeClosed(e *lbWgEvent, now time.Time, mono uint64) Closed {
	c := Closed{
		Service: e.Service, Server: e.Server,
		Client: addrPort(e.Client, e.ClientPort), Front: addrPort(e.Front, e.FrontPort),
		Back: addrPort(e.Back, e.BackPort), Task: addrPort(e.Task, e.TaskPort),
		End:      End(e.End),
		Started:  now.Add(-idle(mono, e.Created)),
		Duration: idle(e.Ended, e.Created),
		Connect:  time.Duration(e.Connect) * time.Microsecond,
		BytesIn:  e.BytesIn, BytesOut: e.BytesOut,
		RetriesLeft: uint32(e.Retries), Redispatched: e.Moved != 0,
		Total: int(e.TotalOpen), InService: int(e.ServiceOpen), InServer: int(e.ServerOpen),
	}
	if e.Connect == noTime {
		c.Connect = -1
	}
	return c
}

// noTime is WG_NO_TIME.
const noTime = 1<<32 - 1

// timeoutEnd says which timeout ends a flow that has been idle for its lifetime, as HAProxy words it: where both sides
// wait, the side that waits for less.
func timeoutEnd(fwd, rev lbWgFlow, t Timeouts) End {
	switch {
	case fwd.State == lbWgStateWG_HALF:
		return EndConnectTimeout
	case fwd.TcpFlags&tcpFin != 0 && t.ClientFin > 0:
		return EndClientTimeout
	case rev.TcpFlags&tcpFin != 0 && t.ServerFin > 0:
		return EndServerTimeout
	case t.Tunnel > 0 || t.Server == 0:
		return EndClientTimeout
	case t.Client == 0 || t.Server < t.Client:
		return EndServerTimeout
	}
	return EndClientTimeout
}
