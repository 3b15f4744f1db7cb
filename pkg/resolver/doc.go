// Package resolver turns the names of servers into addresses, by the rules of a `resolvers` section
// (HAProxy configuration manual, sections 5.3 and 12.1).
//
// One name is asked once for all servers that share it: one query cycle, the next one `timeout
// resolve` after the last has ended, whatever the answer's TTL says (Docker's DNS always says 600 s).
// A cycle asks all nameservers at once, up to `resolve_retries` times `timeout retry` apart; the first
// answer with addresses wins, and an error counts only when every nameserver has failed. Nothing here
// asks more often than that, so a dead name cannot flood a DNS server.
//
// What an answer means for the servers is the business of the hold timers (hold.go). They follow
// HAProxy with Options.HAProxyHold, and otherwise improve on it where Swarm's DNS makes HAProxy's
// users suffer: an address that leaves DNS takes no new session at once, a failing DNS server does not
// take healthy servers away, and an answer from outside the attached networks does not become a server.
//
// The parts without I/O are pure: answer.go (what a message says), guard.go (which addresses may be
// tasks) and hold.go (what is still believed). lookup.go runs the cycles and exchange.go speaks to the
// network; a test injects its own [Exchange].
package resolver
