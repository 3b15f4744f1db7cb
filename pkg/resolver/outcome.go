package resolver

import "net/netip"

// status is what one cycle, or one nameserver's answer, came to. A greater one counts for more: when
// nameservers disagree and none has an address, one that knows the name wins over one that does not,
// and any answer wins over silence.
type status uint8

const (
	statusNone    status = iota // nothing asked yet, or given up because another nameserver won
	statusTimeout               // no answer, or the query could not be sent
	statusOther                 // SERVFAIL and any other error, and answers that make no sense
	statusRefused
	statusNX
	statusValid // NOERROR, with addresses or without
)

var statusText = [...]string{
	statusNone:    "none",
	statusTimeout: "timeout",
	statusOther:   "other",
	statusRefused: "refused",
	statusNX:      "nx",
	statusValid:   "valid",
}

// String names the status by the word that `hold` has for it.
func (s status) String() string { return statusText[s] }

// outcome is what one cycle, or one nameserver, says about a name.
type outcome struct {
	status status
	addrs  []netip.Addr // sorted, without duplicates; only of a valid answer
	by     *nameserver  // who said so; nil if nobody answered

	targets []target   // of a name of service records: what they point to
	ends    []endpoint // and where that is; sorted
}

// found says whether the outcome ends the search: there are addresses.
func (o outcome) found() bool { return o.status == statusValid && len(o.addrs)+len(o.targets) > 0 }

// answered says whether a nameserver said anything at all.
func (o outcome) answered() bool { return o.status > statusTimeout }

// better returns the outcome that counts for more; a when they are equal.
func better(a, b outcome) outcome {
	switch {
	case a.found():
		return a
	case b.found() || b.status > a.status:
		return b
	default:
		return a
	}
}
