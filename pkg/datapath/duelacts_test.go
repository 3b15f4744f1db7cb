package datapath

import (
	"errors"
	"net/netip"
	"time"

	"github.com/cilium/ebpf"
)

// Clients.
const (
	duelist   = 0
	bystander = 1
)

// duelStages are how far the connection is when the two meet.
var duelStages = []struct {
	name  string
	steps []func(*duel)
}{
	{"nothing", nil},
	{"half-open", steps(clientSYN)},
	{"refused", steps(clientSYN, taskRefuses)},
	{"late", steps(clientSYN, isLate)},
	{"late, where no other server is", steps(clientSYN, isLate, otherLeaves)},
	{"at its last attempt", steps(clientSYN, lastAttempt, taskRefuses)},
	{"refused by a server that has left", steps(clientSYN, taskRefuses, serversLeave)},
	{"late at a server that has left", steps(clientSYN, isLate, serversLeave)},
	{"answered", steps(clientSYN, taskAnswers)},
	{"established", steps(clientSYN, taskAnswers, clientACKs)},
	{"closed by the client, half", steps(clientSYN, taskAnswers, clientACKs, clientFINs)},
	{"closed by the server, half", steps(clientSYN, taskAnswers, clientACKs, taskFINs)},
	{"closed by the client", steps(clientSYN, taskAnswers, clientACKs, clientFINs, taskFINs, clientACKs, allIsOld)},
	{"closed by the server", steps(clientSYN, taskAnswers, clientACKs, taskFINs, clientFINs, taskACKs, allIsOld)},
	{"begun anew", steps(clientSYN, taskAnswers, clientACKs, taskFINs, clientFINs, taskACKs, allIsOld, clientBegins, allIsOld)},
	{"moved", steps(clientSYN, isLate, clientSYN)},
}

// duelActs are what either CPU may do.
var duelActs = []struct {
	name string
	do   func(*duel)
}{
	{"the client's SYN", clientSYN},
	{"the client's SYN of a new connection", clientBegins},
	{"the client's ACK", clientACKs},
	{"the client's data", func(d *duel) { d.fromClient(ack|psh, "data") }},
	{"the client's FIN", clientFINs},
	{"the client's RST", func(d *duel) { d.fromClient(rst, "") }},
	{"another client's SYN", func(d *duel) { d.run(d.syn(bystander, 1000)) }},
	{"the server's SYN-ACK", taskAnswers},
	{"the server's data", func(d *duel) { d.fromTask(ack|psh, "data") }},
	{"the server's FIN", taskFINs},
	{"the server's RST", taskRefuses},
	{"an ICMP error about the SYN", (*duel).unreachable},
	{"the servers' leave", serversLeave},
	{"the end of its session", func(d *duel) { _, err := d.c.shutdown(EndKilled, func(Flow) bool { return true }); d.check(err) }},
	{"the end of its time", func(d *duel) { d.expire() }},
	{"its end, and others in its memory", func(d *duel) { d.others(func(*duel) {}) }},
	{"its end, and others in its memory, one of them ended", func(d *duel) { d.others(func(other *duel) { taskAnswers(other); other.fromClient(rst, "") }) }},
}

// lostDuels are those that the program did not stand once: by name the stage, what stops, and what goes on meanwhile.
var lostDuels = [][3]string{
	{"refused", "the client's RST", "the client's SYN of a new connection"},
	{"closed by the client, half", "the server's FIN", "the client's SYN of a new connection"},
	{"refused by a server that has left", "the client's SYN of a new connection", "the end of its time"},
}

// narrowDuels go where only two CPUs at the same instant come.
var narrowDuels = [][3]string{
	{"answered", "the client's ACK", "the client's ACK"},
	{"late", "the client's SYN", "the client's SYN"},
	{"late, where no other server is", "the client's SYN", "the client's SYN"},
	{"late", "the client's SYN", "the end of its session"},
	{"late", "the client's SYN", "another client's SYN"},
	{"closed by the server", "the client's SYN of a new connection", "the client's SYN of a new connection"},
	{"closed by the server", "another client's SYN", "the end of its time"},
	{"refused by a server that has left", "the client's SYN", "the client's SYN"},
	{"refused by a server that has left", "the client's SYN", "its end, and others in its memory"},
	{"late", "the client's SYN", "its end, and others in its memory"},
	{"late", "the client's SYN", "its end, and others in its memory, one of them ended"},
	{"closed by the client", "the client's SYN of a new connection", "its end, and others in its memory, one of them ended"},
	{"closed by the server", "the client's SYN of a new connection", "its end, and others in its memory, one of them ended"},
	{"answered", "the client's ACK", "its end, and others in its memory"},
}

func steps(all ...func(*duel)) []func(*duel) { return all }

func clientSYN(d *duel)    { d.learn(d.run(d.syn(duelist, d.clientSeq-1))) }
func clientBegins(d *duel) { d.learn(d.run(d.syn(duelist, d.clientSeq+100_000))) }
func clientACKs(d *duel)   { d.fromClient(ack, "") }
func clientFINs(d *duel)   { d.fromClient(fin|ack, "") }
func taskAnswers(d *duel)  { d.taskSeq--; d.fromTask(syn|ack, "") }
func taskACKs(d *duel)     { d.fromTask(ack, "") }
func taskFINs(d *duel)     { d.fromTask(fin|ack, "") }
func taskRefuses(d *duel)  { d.fromTask(rst|ack, "") }

func isLate(d *duel) {
	d.edit(keyOf(d.task, d.back), func(f *lbWgFlow) { f.Created -= uint64(2 * time.Second) })
}

func lastAttempt(d *duel) {
	d.edit(keyOf(d.client, d.front), func(f *lbWgFlow) { f.Retries = 1 })
}

// serversLeave takes all servers away, so that nobody takes what a server has refused.
func serversLeave(d *duel) { d.takeServers(func(lbWgServer) bool { return true }) }

// otherLeaves takes that away which does not have the connection, so that a further attempt is at the same one.
func otherLeaves(d *duel) {
	d.takeServers(func(v lbWgServer) bool { return v.Addr != d.task.Addr().As16() })
}

func (d *duel) takeServers(wanted func(lbWgServer) bool) {
	if d.left != nil {
		return
	}
	d.left = make(map[uint32]lbWgServer)
	for id := uint32(101); id <= 102; id++ {
		var v lbWgServer
		d.check(d.k.obj.WgServers.Lookup(id, &v))
		if wanted(v) {
			d.check(d.k.obj.WgServers.Delete(id))
			d.left[id] = v
			d.k.obj.targets[v.Target].Sources = 0
		}
	}
}

func (d *duel) serversComeBack() {
	for id, v := range d.left {
		d.check(d.k.obj.WgServers.Put(id, v))
		d.k.obj.targets[v.Target].Sources = 1
	}
	d.left = nil
}

// expire deletes all that there is.
func (d *duel) expire() {
	_, err := d.c.pass(monotonicNow() + uint64(24*time.Hour))
	d.check(err)
}

// others has the flow deleted and gives its memory to flows of others. The kernel hands out first what was freed last: the first one's two
// entries have it the other way round, and the third one's as it was, once the second one has had the ring recycle the first.
func (d *duel) others(goOn func(*duel)) {
	d.expire()
	gone := d.left
	d.serversComeBack()
	for who := range 3 {
		other := *d
		other.client = ap(client(bystander + who))
		other.clientSeq, other.taskSeq = 1001, 5001
		other.learn(other.run(other.syn(bystander+who, 1000)))
		if who == 2 { // the one whose first entry has the memory of the first entry
			goOn(&other)
		}
	}
	d.left = gone
	for id, v := range gone {
		if err := d.k.obj.WgServers.Delete(id); !errors.Is(err, ebpf.ErrKeyNotExist) { // the other CPU may do the same
			d.check(err)
		}
		d.k.obj.targets[v.Target].Sources = 0
	}
}

func duelDesired() Desired {
	d := retrying(2, 3, true)
	d.Services[0].Logged = true
	return d
}

// allIsOld makes it long enough ago for ports to be used again.
func allIsOld(d *duel) {
	for key, f := range d.entries() {
		f.Seen -= uint64(2 * time.Second)
		d.check(d.k.obj.WgFlows.Update(key, f, ebpf.UpdateExist))
	}
}

func (d *duel) entries() map[lbWgKey]lbWgFlow {
	all := make(map[lbWgKey]lbWgFlow)
	d.check(eachEntry(d.k.obj.WgFlows, func(key lbWgKey, f lbWgFlow) bool { all[key] = f; return true }))
	return all
}

func (d *duel) edit(key lbWgKey, change func(*lbWgFlow)) {
	var f lbWgFlow
	d.check(d.k.obj.WgFlows.Lookup(key, &f))
	change(&f)
	d.check(d.k.obj.WgFlows.Update(key, f, ebpf.UpdateExist))
}

func (d *duel) syn(who int, seq uint32) packet {
	return packet{src: ap(client(who)), dst: d.front, flags: syn, seq: seq}
}

func (d *duel) fromClient(flags uint8, payload string) {
	d.run(packet{src: d.client, dst: d.front, flags: flags, seq: d.clientSeq, ack: d.taskSeq, payload: payload})
	d.clientSeq += advance(flags, payload)
}

func (d *duel) fromTask(flags uint8, payload string) {
	d.run(packet{src: d.task, dst: d.back, flags: flags, seq: d.taskSeq, ack: d.clientSeq, payload: payload})
	d.taskSeq += advance(flags, payload)
}

func (d *duel) unreachable() {
	about := packet{src: d.back, dst: d.task, flags: syn, seq: d.clientSeq - 1}.frame(d.t)[14:]
	d.frame(icmpFrame(d.t, netip.MustParseAddr("203.0.113.1"), d.back.Addr(), pkt{icmp: &icmpError{kind: 3, code: 1}}, about[:28], ask))
}

func (d *duel) run(p packet) (verdict int, out []byte) { return d.frame(p.frame(d.t)) }

func (d *duel) frame(frame []byte) (verdict int, out []byte) {
	run := ebpf.RunOptions{Data: frame, DataOut: make([]byte, len(frame)+256), Context: skbContext{IngressIfindex: loIndex, Ifindex: loIndex}}
	ret, err := d.k.obj.WgIngress.Run(&run)
	d.check(err)
	return int(int32(ret)), run.DataOut
}

// learn takes note of where the client's SYN went.
func (d *duel) learn(verdict int, out []byte) {
	if verdict == verdictRedirect {
		got := decode(d.t, out)
		d.back, d.task = got.src, got.dst
	}
}
