// Package dnsserver answers DNS queries as Docker's embedded server does for a service of a stack: A records
// only, in random order, with a TTL of 600 s, truncated to 512 bytes or the client's EDNS0 size, and names
// it does not know handed to an upstream resolver whose behaviour can be chosen.
package dnsserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// TTL of all answers, in seconds: Docker's respTTL.
const TTL = 600

// Kind is a way to answer.
type Kind string

// The ways to answer a query that has no record, or, in an outage, any query.
const (
	NXDomain Kind = "nxdomain" // no such name
	ServFail Kind = "servfail" // the upstream failed
	Refused  Kind = "refused"  // response code REFUSED
	Timeout  Kind = "timeout"  // no answer at all
	Wildcard Kind = "wildcard" // one A record with Behaviour.Addr, as some providers' resolvers give
	Empty    Kind = "empty"    // NOERROR without an answer
)

// Behaviour is a way to answer, with what it needs.
type Behaviour struct {
	Kind Kind
	Addr netip.Addr // for Wildcard
}

func (b Behaviour) validate() error {
	switch b.Kind {
	case NXDomain, ServFail, Refused, Timeout, Empty:
		return nil
	case Wildcard:
		if b.Addr.Is4() {
			return nil
		}
		return fmt.Errorf("behaviour wildcard needs an IPv4 address, not %q", b.Addr)
	}
	return fmt.Errorf("unknown behaviour %q", b.Kind)
}

// Counts are queries answered, or swallowed, since the start, by transport.
type Counts struct {
	UDP, TCP int
	// Names counts both by lower-case name without the final dot. At most 1024 names are told apart.
	Names map[string]int
}

// Server is a dns.Handler. Its methods may be called from several goroutines.
type Server struct {
	stack string

	mu      sync.Mutex
	records map[string][]netip.Addr
	unknown Behaviour
	outage  *Behaviour
	counts  Counts
}

// New returns a server without records for a stack of the given name.
func New(stack string) *Server {
	return &Server{
		stack:   strings.ToLower(stack),
		records: make(map[string][]netip.Addr),
		unknown: Behaviour{Kind: NXDomain},
		counts:  Counts{Names: make(map[string]int)},
	}
}

// Set gives name these addresses; none removes the record. The name of a service also answers as
// tasks.<name>, <stack>_<name> and tasks.<stack>_<name>, except where one of these has a record of its own:
// so Set("web", vip) and Set("tasks.web", a, b) make a service with a virtual address.
func (s *Server) Set(name string, addrs ...netip.Addr) error {
	for _, a := range addrs {
		if !a.Is4() {
			return fmt.Errorf("set %s: %q is not an IPv4 address", name, a)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	name = canonical(name)
	if len(addrs) == 0 {
		delete(s.records, name)
		return nil
	}
	s.records[name] = append([]netip.Addr(nil), addrs...)
	return nil
}

// SetUnknown chooses the answer for names without a record, a service without tasks among them.
func (s *Server) SetUnknown(b Behaviour) error {
	if err := b.validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unknown = b
	return nil
}

// SetOutage makes every query be answered by b; nil ends the outage.
func (s *Server) SetOutage(b *Behaviour) error {
	if b != nil {
		if err := b.validate(); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outage = b
	return nil
}

// Counts returns a copy of the counters.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.Names = make(map[string]int, len(s.counts.Names))
	for name, n := range s.counts.Names {
		c.Names[name] = n
	}
	return c
}

// ServeDNS answers one query.
func (s *Server) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	_, overTCP := w.RemoteAddr().(*net.TCPAddr)
	if m := s.answer(query, overTCP); m != nil {
		_ = w.WriteMsg(m) // the client asks again
	}
}

// answer returns the response to query, nil for none.
func (s *Server) answer(query *dns.Msg, overTCP bool) *dns.Msg {
	if len(query.Question) != 1 {
		return new(dns.Msg).SetRcodeFormatError(query)
	}
	q := query.Question[0]
	addrs, behaviour := s.find(q, overTCP)

	m := new(dns.Msg)
	m.SetReply(query)
	m.RecursionAvailable = true
	if behaviour != nil {
		switch behaviour.Kind {
		case Timeout:
			return nil
		case NXDomain:
			m.Rcode = dns.RcodeNameError
		case ServFail:
			m.Rcode = dns.RcodeServerFailure
		case Refused:
			m.Rcode = dns.RcodeRefused
		case Wildcard:
			addrs = []netip.Addr{behaviour.Addr}
		}
	}
	if q.Qtype == dns.TypeA {
		rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
		for _, a := range addrs {
			m.Answer = append(m.Answer, &dns.A{
				Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: TTL},
				A:   a.AsSlice(),
			})
		}
	}
	m.Truncate(sizeLimit(query, overTCP))
	m.Compress = true
	return m
}

// find returns a copy of the addresses of a name, or what to do instead of giving them.
func (s *Server) find(q dns.Question, overTCP bool) ([]netip.Addr, *Behaviour) {
	name := canonical(q.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(name, overTCP)
	if s.outage != nil {
		return nil, s.outage
	}
	addrs, known := s.lookup(name)
	// Types other than A and AAAA go upstream, as in Docker, even for a name that is known.
	if !known || (q.Qtype != dns.TypeA && q.Qtype != dns.TypeAAAA) {
		unknown := s.unknown
		return nil, &unknown
	}
	return append([]netip.Addr(nil), addrs...), nil
}

// lookup tries the name itself and then the service it is an alias of.
func (s *Server) lookup(name string) ([]netip.Addr, bool) {
	inTasks := strings.TrimPrefix(name, "tasks.")
	for _, candidate := range []string{name, inTasks, strings.TrimPrefix(inTasks, s.stack+"_")} {
		if addrs, ok := s.records[candidate]; ok {
			return addrs, true
		}
	}
	return nil, false
}

func (s *Server) count(name string, overTCP bool) {
	if overTCP {
		s.counts.TCP++
	} else {
		s.counts.UDP++
	}
	if _, ok := s.counts.Names[name]; ok || len(s.counts.Names) < maxCountedNames {
		s.counts.Names[name]++
	}
}

const maxCountedNames = 1024

// sizeLimit is how long the response may be: Docker takes the client's EDNS0 size where it is larger than 512.
func sizeLimit(query *dns.Msg, overTCP bool) int {
	if overTCP {
		return dns.MaxMsgSize
	}
	if opt := query.IsEdns0(); opt != nil && int(opt.UDPSize()) > dns.MinMsgSize {
		return int(opt.UDPSize())
	}
	return dns.MinMsgSize
}

func canonical(name string) string {
	return strings.ToLower(strings.TrimSuffix(name, "."))
}
