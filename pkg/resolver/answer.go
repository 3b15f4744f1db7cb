package resolver

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Limits on what one answer may make us do.
const (
	// maxRecords is how many addresses of one answer are used: as many as the kernel path can balance
	// over. Of more, the lowest are taken, so that every answer of the same set gives the same ones.
	maxRecords = 4096
	// maxChain is how many CNAME records are followed inside one answer.
	maxChain = 16
)

// What can be wrong with an answer.
var (
	errNotAnAnswer = errors.New("not an answer to the query")
	errChain       = errors.New("CNAME chain without an address at its end")
	errTruncated   = errors.New("answer is truncated over TCP too")
)

// answers says whether reply is an answer to query: the id, the question and the class must be ours
// (RFC 5452, section 9.1). A FORMERR may come without the question.
func answers(query, reply *dns.Msg) bool {
	if reply.Id != query.Id || !reply.Response || reply.Opcode != query.Opcode {
		return false
	}
	if len(reply.Question) == 0 {
		return reply.Rcode == dns.RcodeFormatError
	}
	q, r := query.Question[0], reply.Question[0]
	return len(reply.Question) == 1 && q.Qtype == r.Qtype && q.Qclass == r.Qclass && strings.EqualFold(q.Name, r.Name)
}

// statusOf translates a response code.
func statusOf(rcode int) status {
	switch rcode {
	case dns.RcodeSuccess:
		return statusValid
	case dns.RcodeNameError:
		return statusNX
	case dns.RcodeRefused:
		return statusRefused
	default:
		return statusOther
	}
}

// reading is what a NOERROR answer says.
type reading struct {
	addrs   []netip.Addr // sorted, without duplicates
	over    int          // addresses beyond the limit, which are left out
	chained bool         // the addresses belong to the end of a CNAME chain
}

// read takes the addresses of type qtype that a NOERROR answer has for name. CNAMEs that are in the
// answer are followed, wherever in it they stand; a chain that leads to no address is an error, since
// the address may exist and only be missing here.
func read(reply *dns.Msg, name string, qtype uint16, limit int) (reading, error) {
	owner, chained, err := chase(reply, dns.CanonicalName(name))
	if err != nil {
		return reading{}, err
	}
	var found []netip.Addr
	for _, rr := range reply.Answer {
		h := rr.Header()
		if h.Rrtype != qtype || h.Class != dns.ClassINET || dns.CanonicalName(h.Name) != owner {
			continue
		}
		if addr := addressOf(rr); usable(addr) {
			found = append(found, addr)
		}
	}
	slices.SortFunc(found, netip.Addr.Compare)
	found = slices.Compact(found)
	if chained && len(found) == 0 {
		return reading{}, errChain
	}
	over := max(0, len(found)-limit)
	return reading{addrs: found[:len(found)-over], over: over, chained: chained}, nil
}

// chase follows the CNAMEs of an answer from name to the owner of the addresses.
func chase(reply *dns.Msg, name string) (owner string, chained bool, err error) {
	alias := make(map[string]string)
	for _, rr := range reply.Answer {
		if c, ok := rr.(*dns.CNAME); ok && c.Hdr.Class == dns.ClassINET {
			alias[dns.CanonicalName(c.Hdr.Name)] = dns.CanonicalName(c.Target)
		}
	}
	for range maxChain {
		target, ok := alias[name]
		if !ok {
			return name, chained, nil
		}
		name, chained = target, true
	}
	return "", true, errChain
}

func addressOf(rr dns.RR) netip.Addr {
	var addr netip.Addr
	switch rr := rr.(type) {
	case *dns.A:
		addr, _ = netip.AddrFromSlice(rr.A)
	case *dns.AAAA:
		addr, _ = netip.AddrFromSlice(rr.AAAA)
	}
	return addr.Unmap()
}

// usable refuses what can never be the address of a server.
func usable(addr netip.Addr) bool {
	return addr.IsValid() && !addr.IsUnspecified() && !addr.IsMulticast()
}
