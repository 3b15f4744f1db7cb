package config

import (
	"math"
	"strconv"
	"strings"

	"waggle/pkg/sample"
)

// balance reads an algorithm. What hash-type said stays.
func (s *statement) balance() {
	got := s.text(0)
	if len(s.args) == 0 {
		got = "roundrobin"
	}
	algorithm, rest, hasArgs := strings.Cut(got, "(")
	args := strings.TrimSuffix(rest, ")")
	if hasArgs && (args == rest || algorithm != "random" && algorithm != "hdr" && algorithm != "rdp-cookie") {
		algorithm = got // reported below
	}
	b := s.p.proxy.Balance
	b.Pos, b.Algorithm, b.Args, b.Key = s.at(-1), algorithm, nil, BalanceKey{}
	ok := false
	switch algorithm {
	case "rdp-cookie", "log-hash", "log-sticky", "sticky":
		s.unsupported(0, "balance algorithm '"+algorithm+"'")
	case "uri":
		ok = s.balanceURI(&b.Key)
	case "url_param":
		ok = s.balanceParam(&b.Key)
	case "hdr":
		ok = s.balanceHeader(args, &b.Key)
	case "hash":
		ok = s.balanceHash(&b)
	case "random":
		if hasArgs {
			b.Args = []string{args}
		}
		if hasArgs && !validDraws(args) {
			s.errorf(0, "'random' of 'balance' expects a number of draws from 1 on in parentheses, not '%s'", got)
			return
		}
		ok = s.atMost(1)
	default:
		ok = len(s.args) == 0 || s.oneOf(0, "algorithm", "roundrobin", "static-rr", "leastconn", "first", "source", "random", "uri", "url_param", "hdr", "hash") && s.atMost(1)
	}
	if ok {
		s.p.proxy.Balance = b
	}
}

// validDraws checks what stands between the parentheses of `random(n)`.
func validDraws(n string) bool {
	return n != "" && len(n) < 5 && strings.Trim(n, "0123456789") == "" && strings.Trim(n, "0") != ""
}

// balanceURI reads `[len <n>] [depth <n>] [whole] [path-only]`.
func (s *statement) balanceURI(key *BalanceKey) bool {
	for i := 1; i < len(s.args); i++ {
		switch word := s.args[i].text; word {
		case "whole":
			key.Whole = true
		case "path-only":
			key.PathOnly = true
		case "len", "depth":
			n, err := strconv.Atoi(s.text(i + 1))
			if err != nil || n < 1 || n > math.MaxInt32 {
				s.errorf(min(i+1, len(s.args)-1), "'%s' of 'balance uri' expects a positive integer", word)
				return false
			}
			if i++; word == "len" {
				key.Len = n
			} else {
				key.Depth = n
			}
		default:
			s.errorf(i, "'balance uri' only accepts parameters 'len', 'depth', 'whole' and 'path-only', not '%s'", word)
			return false
		}
	}
	return true
}

// balanceParam reads `<name>`.
func (s *statement) balanceParam(key *BalanceKey) bool {
	if key.Name = s.text(1); key.Name == "" {
		s.errorf(-1, "'balance url_param' requires an URL parameter name")
		return false
	}
	if s.text(2) == "check_post" {
		s.unsupported(2, "'check_post' of 'balance url_param'")
		return false
	}
	return s.atMost(2)
}

// balanceHeader reads what follows `hdr(<name>)`.
func (s *statement) balanceHeader(name string, key *BalanceKey) bool {
	if key.Name = name; !isToken(name) {
		s.errorf(0, "'balance hdr' requires the name of a header in parentheses")
		return false
	}
	if key.DomainOnly = s.text(1) == "use_domain_only"; !key.DomainOnly && len(s.args) > 1 {
		s.errorf(1, "'balance hdr(%s)' only accepts 'use_domain_only' modifier, not '%s'", name, s.args[1].text)
		return false
	}
	return s.atMost(2)
}

// balanceHash reads `<expression>`.
func (s *statement) balanceHash(b *Balance) bool {
	if s.text(1) == "" {
		s.errorf(-1, "'balance hash' requires an expression")
		return false
	}
	x, err := sample.ParseExpr(s.text(1), s.exprEnv(1))
	if err != nil {
		s.exprError(err, 1, "'balance hash'")
		return false
	}
	b.Key.Expr, b.Args = x, []string{s.text(1)}
	return s.atMost(2)
}

// hashType reads `<method> [<function> [avalanche]]`. Without a function it is sdbm, for consistent with avalanche
// (HAProxy configuration manual, hash-type).
func (s *statement) hashType() {
	if !s.oneOf(0, "method", "map-based", "consistent") {
		return
	}
	b := &s.p.proxy.Balance
	consistent := s.text(0) == "consistent"
	function, avalanche := s.text(1), s.text(2) != ""
	switch {
	case function == "":
		function, avalanche = "sdbm", consistent
	case !s.oneOf(1, "hash function", "sdbm", "djb2", "wt6", "crc32", "none"):
		return
	case avalanche && !s.oneOf(2, "modifier", "avalanche"), !s.atMost(3):
		return
	}
	b.Consistent, b.Function, b.Avalanche = consistent, function, avalanche
}

// hashFactor reads the bound of a consistent hash. 0 is none; up to 100 not all sessions would find a server.
func (s *statement) hashFactor() {
	n, ok := s.integer(0, 0, 50000)
	if !ok || !s.atMost(1) {
		return
	}
	if n > 0 && n <= 100 {
		s.errorf(0, "'hash-balance-factor' must be 0 or greater than 100, not '%s'", s.text(0))
		return
	}
	s.p.proxy.Balance.Factor = n
}

func (s *statement) hashAffinity() {
	switch s.text(0) {
	case "maxconn", "maxqueue":
		s.unsupported(0, "'"+s.text(0)+"' of 'hash-preserve-affinity'")
	default:
		if s.oneOf(0, "mode", "always", "maxconn", "maxqueue") {
			s.atMost(1)
		}
	}
}

// checkBalance makes an algorithm that needs HTTP round robin in a TCP proxy, as HAProxy does, and warns of settings
// that have no effect.
func (p *parser) checkBalance(s *proxyState) {
	b := &s.Balance
	if !s.Kind.HasBackend() {
		return
	}
	http := b.Algorithm == "uri" || b.Algorithm == "url_param" || b.Algorithm == "hdr" || b.Key.Expr != nil && b.Key.Expr.NeedsHTTP()
	if http && !s.HTTP {
		p.warn(b.Pos, "'balance %s' of %s '%s' requires HTTP mode: round robin takes its place", b.Algorithm, s.Kind, s.Name)
		b.Algorithm, b.Args, b.Key = "roundrobin", nil, BalanceKey{}
	}
	// `hash-type consistent` needs no word: it asks for what the table of 'balance source' always gives.
	if b.Algorithm == "source" && b.Factor > 0 {
		p.warn(b.Pos, "'hash-balance-factor' does not apply to 'balance source' of %s '%s'", s.Kind, s.Name)
	}
}
