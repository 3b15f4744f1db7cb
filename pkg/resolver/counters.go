package resolver

import "sync/atomic"

// NameserverCounters are the counters of one nameserver, as `show resolvers` and the metrics
// haproxy_resolver_* have them. They only grow.
type NameserverCounters struct {
	Name string // as configured; for one from resolv.conf, its address

	Sent       uint64 // queries sent
	SendErrors uint64 // queries that could not be sent, or that the server's host refused
	Valid      uint64 // NOERROR answers that made sense
	Update     uint64 // answers that changed the set of addresses
	CName      uint64 // answers that led through a CNAME
	CNameError uint64 // CNAMEs that led to no address
	AnyErr     uint64 // NOERROR answers without an address
	NX         uint64
	Timeout    uint64 // queries without an answer in time
	Refused    uint64
	Other      uint64 // SERVFAIL and any other response code
	Invalid    uint64 // messages that were no DNS, or no answer to the question
	TooBig     uint64 // datagrams larger than announced
	Truncated  uint64 // answers with the TC bit; they are asked for again over TCP
	Outdated   uint64 // datagrams with the id of no pending query: late, or forged
}

// nameserver is one nameserver of the section, with its counters.
type nameserver struct {
	name string
	path string // section/name, as the log has it
	server
	*nameserverCounts
}

// nameserverCounts outlive a reload.
type nameserverCounts struct {
	sent, sendErrors, valid, update, cname, cnameError, anyErr atomic.Uint64
	nx, timeout, refused, other, invalid, tooBig               atomic.Uint64
	truncated, outdated                                        atomic.Uint64
}

func (n *nameserver) counters() NameserverCounters {
	return NameserverCounters{
		Name: n.name, Sent: n.sent.Load(), SendErrors: n.sendErrors.Load(), Valid: n.valid.Load(),
		Update: n.update.Load(), CName: n.cname.Load(), CNameError: n.cnameError.Load(), AnyErr: n.anyErr.Load(),
		NX: n.nx.Load(), Timeout: n.timeout.Load(), Refused: n.refused.Load(), Other: n.other.Load(),
		Invalid: n.invalid.Load(), TooBig: n.tooBig.Load(), Truncated: n.truncated.Load(), Outdated: n.outdated.Load(),
	}
}

func (n *nameserver) stray(s Stray) {
	switch s {
	case StrayID:
		n.outdated.Add(1)
	case StrayTooBig:
		n.tooBig.Add(1)
	default:
		n.invalid.Add(1)
	}
}

// count counts an answer by its status; a valid one is counted where it is read.
func (n *nameserver) count(s status) {
	switch s {
	case statusNX:
		n.nx.Add(1)
	case statusRefused:
		n.refused.Add(1)
	case statusOther:
		n.other.Add(1)
	case statusTimeout:
		n.timeout.Add(1)
	}
}

// Totals count what the resolver did beyond HAProxy. They only grow.
type Totals struct {
	Cycles      uint64 // query cycles that ended
	Leaving     uint64 // addresses that left DNS and take no new session
	Refused     uint64 // addresses refused because they are in no attached subnet, once for each answer
	KeptHealthy uint64 // cycles after which servers stayed only because their checks pass
	TCP         uint64 // queries repeated over TCP after a truncated answer
	PlainDNS    uint64 // queries repeated without EDNS0 after a FORMERR
	Capped      uint64 // addresses beyond the most that one answer may hold
}

type totals struct {
	cycles, leaving, refused, keptHealthy, tcp, plainDNS, capped atomic.Uint64
}

func (t *totals) load() Totals {
	return Totals{
		Cycles: t.cycles.Load(), Leaving: t.leaving.Load(), Refused: t.refused.Load(), KeptHealthy: t.keptHealthy.Load(),
		TCP: t.tcp.Load(), PlainDNS: t.plainDNS.Load(), Capped: t.capped.Load(),
	}
}
