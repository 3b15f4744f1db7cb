package proxy

import (
	"bytes"
	"cmp"

	"waggle/pkg/balance"
	"waggle/pkg/config"
	"waggle/pkg/sample"
)

// hasher finds the part of a request by which a backend balances, and hashes it; nil where it goes by none.
type hasher struct {
	key       config.BalanceKey
	find      func(*hasher, *subject) (key []byte, ok bool)
	function  func([]byte) uint32
	avalanche bool
}

func newHasher(b *config.Balance) *hasher {
	find := map[string]func(*hasher, *subject) ([]byte, bool){
		"uri": (*hasher).uri, "url_param": (*hasher).param, "hdr": (*hasher).header, "hash": (*hasher).expression,
	}[b.Algorithm]
	if find == nil {
		return nil
	}
	return &hasher{key: b.Key, find: find, function: sample.HashFunctions[cmp.Or(b.Function, "sdbm")], avalanche: b.Avalanche}
}

// note puts the hash of a session's key, if it has one, into the request for a server.
func (h *hasher) note(s *session, req *balance.Request) {
	key, ok := h.find(h, (*subject)(s))
	if !ok {
		return
	}
	req.Hash, req.Hashed = h.function(key), true
	if h.avalanche {
		req.Hash = sample.Avalanche(req.Hash)
	}
}

// uri is the target up to the query, a number of bytes or a number of slashes.
func (h *hasher) uri(s *subject) ([]byte, bool) {
	uri := s.URI()
	if h.key.PathOnly {
		uri = splitURI(uri).pathQuery
	}
	if h.key.Len > 0 {
		uri = uri[:min(len(uri), h.key.Len)]
	}
	slashes := 0
	for i, c := range uri {
		switch {
		case c == '?' && !h.key.Whole:
			return uri[:i], true
		case c != '/':
		case slashes == h.key.Depth && h.key.Depth > 0:
			return uri[:i], true
		default:
			slashes++
		}
	}
	return uri, uri != nil
}

// param is the value of a parameter of the query.
func (h *hasher) param(s *subject) ([]byte, bool) {
	_, query, _ := bytes.Cut(s.URI(), []byte{'?'})
	for len(query) > 0 {
		var one []byte
		one, query, _ = bytes.Cut(query, []byte{'&'})
		if n := len(h.key.Name); len(one) > n && one[n] == '=' && string(one[:n]) == h.key.Name {
			return one[n+1:], true
		}
	}
	return nil, false
}

// header is the first value of a header.
func (h *hasher) header(s *subject) ([]byte, bool) {
	line := s.Header(h.key.Name)
	if line == nil {
		return nil, false
	}
	value, _, _ := bytes.Cut(line, []byte{','})
	value = bytes.TrimSpace(value)
	if h.key.DomainOnly {
		value = domain(value)
	}
	return value, true
}

// domain is the part of a host name before its last dot, up to the dot before that.
func domain(host []byte) []byte {
	dot := bytes.LastIndexByte(host, '.')
	if dot < 0 {
		return nil
	}
	host = host[:dot]
	return host[bytes.LastIndexByte(host, '.')+1:]
}

func (h *hasher) expression(s *subject) (key []byte, ok bool) {
	s.w.text, ok = h.key.Expr.AppendKey(s.w.text[:0], s)
	return s.w.text, ok
}
