package resolver

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// vipPause is the time between two looks at the tasks of a name, as long as they tell nothing.
const vipPause = 30 * time.Second

// vipProbe remembers what was found out about a name's only address.
type vipProbe struct {
	addr    netip.Addr // the address in question
	settled bool       // it is known what it is
	next    time.Time  // the next look, until then
}

// lookForVIP finds out whether the name's only address is the virtual one of a Swarm service where
// slots wait for tasks. Docker's DNS gives a service in endpoint mode `vip` one virtual address under
// its own name, and its tasks under `tasks.` and the name: an address that is not among the tasks is
// virtual. One query tells, so it costs nothing once it is settled.
func (l *lookup) lookForVIP(ctx context.Context, o outcome) {
	if o.status != statusValid {
		return
	}
	var addr netip.Addr
	if l.mayBeVIP(o) {
		addr = o.addrs[0]
	}
	if addr != l.vip.addr {
		l.vip = vipProbe{addr: addr}
		l.setVIP(false)
	}
	if !addr.IsValid() {
		return
	}
	now := time.Now()
	if l.vip.settled || now.Before(l.vip.next) {
		return
	}
	l.vip.next = now.Add(vipPause)
	ctx, cancel := context.WithTimeout(ctx, l.r.section.TimeoutRetry)
	defer cancel()
	tasks, _ := l.r.askAll(ctx, "tasks."+l.name, dns.TypeA)
	if !tasks.found() {
		return
	}
	l.vip.settled = true
	if slices.Contains(tasks.addrs, l.vip.addr) {
		return
	}
	l.setVIP(true)
	l.log.Warn("name resolves to a virtual address of Swarm and not to tasks: only one server is used, and Swarm balances behind it; "+
		"use the name tasks."+l.shown()+" or endpoint_mode dnsrr", "address", l.vip.addr, "tasks", len(tasks.addrs))
}

// mayBeVIP says whether a valid outcome is one address where several were meant, of a name that Swarm may
// have given.
func (l *lookup) mayBeVIP(o outcome) bool {
	name := l.shown()
	return !l.memory.haproxy && !isService(name) && len(o.addrs) == 1 && o.addrs[0].Is4() &&
		!strings.HasPrefix(name, "tasks.") && (l.guard.task || !strings.Contains(name, ".")) &&
		slices.ContainsFunc(l.groups(), func(m member) bool { return len(m.group.Servers()) > 1 })
}

func (l *lookup) setVIP(is bool) {
	l.mu.Lock()
	l.isVIP = is
	l.mu.Unlock()
}
