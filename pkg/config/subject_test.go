package config

import "net/netip"

// getRequest is a GET request for a URI, on which conditions of a configuration are evaluated.
type getRequest string

func (getRequest) Src() netip.AddrPort               { return netip.MustParseAddrPort("192.0.2.1:1000") }
func (getRequest) Dst() netip.AddrPort               { return netip.MustParseAddrPort("192.0.2.2:80") }
func (getRequest) Method() []byte                    { return []byte("GET") }
func (r getRequest) URI() []byte                     { return []byte(r) }
func (getRequest) Version() []byte                   { return []byte("1.1") }
func (getRequest) Header(string) []byte              { return nil }
func (getRequest) Headers(string, func([]byte) bool) {}
func (getRequest) FrontendName() string              { return "fe" }
func (getRequest) TLS() bool                         { return false }
