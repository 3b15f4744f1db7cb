package resolver

import (
	"net/netip"
	"slices"
	"time"
)

// NameStatus is what is known of one name at a moment.
type NameStatus struct {
	Name    string
	IPv6    bool          // AAAA is asked before A
	Answer  string        // of the last cycle: none (not asked yet), valid, nx, refused, other, timeout
	By      string        // section/nameserver of the last answer, "" if there was none
	At      time.Time     // when the last cycle ended; zero before the first
	Valid   time.Time     // when the last valid answer came; zero if none ever came
	Records []KnownRecord // sorted by address
	Refused []netip.Addr  // addresses of the last answer that are in no attached subnet
	// VIP says that the address is Swarm's virtual one for the service, although there are slots for
	// several tasks: all traffic goes through IPVS, and all slots but one stay empty.
	VIP bool
	// Rotating says that answers hold changing parts of a larger set, so that an address that is
	// missing from one does not count as leaving.
	Rotating bool
	Groups   []GroupStatus
}

// KnownRecord is an address that is believed in.
type KnownRecord struct {
	Addr    netip.Addr
	Port    uint16    // of a service record, 0 if it is none
	Seen    time.Time // the last valid answer that held it
	Leaving bool
}

// GroupStatus is how a group's slots cover the name's addresses.
type GroupStatus struct {
	Backend string
	Slots   int
	Surplus []netip.AddrPort // addresses without a slot
}

// Status returns what is known of each name, in the order in which the names were added.
func (r *Resolver) Status() []NameStatus {
	all := []NameStatus{}
	for _, l := range r.names() {
		all = append(all, l.status())
	}
	return all
}

func (l *lookup) status() NameStatus {
	s := NameStatus{Name: l.shown(), IPv6: len(l.targetTypes) > 1}
	l.mu.Lock()
	s.Answer, s.At, s.Refused, s.VIP = l.last.status.String(), l.lastEnd, slices.Clone(l.refused), l.isVIP
	if l.last.by != nil {
		s.By = l.last.by.path
	}
	s.Rotating = l.memory.rotation.on && !l.memory.haproxy
	if l.memory.asked {
		s.Valid = l.memory.lastValid
	}
	for _, k := range l.memory.records {
		s.Records = append(s.Records, KnownRecord{Addr: k.addr, Port: k.port, Seen: k.seen, Leaving: k.leaving})
	}
	l.mu.Unlock()
	for _, m := range l.groups() {
		s.Groups = append(s.Groups, GroupStatus{
			Backend: m.group.Backend.Name, Slots: len(m.group.Servers()), Surplus: m.group.Surplus(),
		})
	}
	return s
}
