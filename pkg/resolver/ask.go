package resolver

import (
	"context"
	"errors"
	"os"

	"github.com/miekg/dns"
)

// askAll asks all nameservers at the same time for one record type of a name. It returns when one has
// addresses or all are done, with none of its goroutines left. It reports whether all have answered,
// with whatever.
func (r *Resolver) askAll(ctx context.Context, name string, qtype uint16) (best outcome, all bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan outcome, len(r.nameservers))
	for _, ns := range r.nameservers {
		go func() { answers <- r.ask(ctx, ns, name, qtype) }()
	}
	all = true
	for range r.nameservers {
		o := <-answers
		best, all = better(best, o), all && o.answered()
		if best.found() {
			cancel() // the others are not needed any more, and end at once
		}
	}
	return best, all
}

// ask gets one nameserver's word on a name, and counts it. It ends when ctx does.
func (r *Resolver) ask(ctx context.Context, ns *nameserver, name string, qtype uint16) outcome {
	reply, err := r.converse(ctx, ns, name, qtype)
	if err != nil {
		return failure(ctx, ns, err)
	}
	if s := statusOf(reply.Rcode); s != statusValid {
		ns.count(s)
		return outcome{status: s, by: ns}
	}
	o, chained, over, err := readAny(reply, name, qtype)
	if err != nil {
		ns.cnameError.Add(1)
		return outcome{status: statusOther, by: ns}
	}
	ns.valid.Add(1)
	if chained {
		ns.cname.Add(1)
	}
	if !o.found() {
		ns.anyErr.Add(1)
	}
	r.totals.capped.Add(uint64(over))
	o.by = ns
	return o
}

// readAny takes what a NOERROR answer says of one record type.
func readAny(reply *dns.Msg, name string, qtype uint16) (o outcome, chained bool, over int, err error) {
	o.status = statusValid
	if qtype == dns.TypeSRV {
		o.targets, over, chained, err = readService(reply, name)
		return o, chained, over, err
	}
	got, err := read(reply, name, qtype, maxRecords)
	o.addrs = got.addrs
	return o, got.chained, got.over, err
}

// failure counts why there was no answer. A query that was given up because another nameserver was
// faster, or because we stop, is no failure.
func failure(ctx context.Context, ns *nameserver, err error) outcome {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return outcome{}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		ns.timeout.Add(1)
	case errors.Is(err, errTruncated):
		return outcome{status: statusOther, by: ns}
	case errors.Is(err, errNotAnAnswer):
		ns.invalid.Add(1)
		return outcome{status: statusOther, by: ns}
	default:
		ns.sendErrors.Add(1)
	}
	return outcome{status: statusTimeout}
}

// converse asks one question and repeats it as the protocol wants: without EDNS0 for a server that
// does not know it (RFC 6891, section 7), and over TCP when the answer is truncated (RFC 7766, section
// 5). A truncated answer is never used: what is missing in it would count as gone.
func (r *Resolver) converse(ctx context.Context, ns *nameserver, name string, qtype uint16) (*dns.Msg, error) {
	edns, tcp := true, ns.tcp
	for {
		reply, err := r.send(ctx, ns, r.question(name, qtype, edns), tcp)
		switch {
		case err != nil:
			return nil, err
		case reply.Rcode == dns.RcodeFormatError && edns:
			edns = false
			r.totals.plainDNS.Add(1)
		case reply.Truncated && tcp:
			ns.truncated.Add(1)
			return nil, errTruncated
		case reply.Truncated:
			tcp = true
			ns.truncated.Add(1)
			r.totals.tcp.Add(1)
		default:
			return reply, nil
		}
	}
}

// question makes a query with a fresh random id.
func (r *Resolver) question(name string, qtype uint16, edns bool) *dns.Msg {
	q := new(dns.Msg).SetQuestion(name, qtype)
	if edns {
		q.SetEdns0(r.size, false)
	}
	return q
}

// minSize is the largest UDP answer without EDNS0 (RFC 1035, section 4.2.1).
const minSize = 512

func (r *Resolver) send(ctx context.Context, ns *nameserver, msg *dns.Msg, tcp bool) (*dns.Msg, error) {
	size := minSize
	if msg.IsEdns0() != nil {
		size = int(r.size)
	}
	ns.sent.Add(1)
	reply, err := r.opts.Exchange(ctx, Query{Server: ns.addr, TCP: tcp, Msg: msg, Size: size, Stray: ns.stray})
	if err != nil {
		return nil, err
	}
	if !answers(msg, reply) {
		return nil, errNotAnAnswer
	}
	return reply, nil
}
