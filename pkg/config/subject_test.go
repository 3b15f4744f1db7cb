package config

import "waggle/pkg/sample"

// getRequest is a GET request for a URI, on which conditions of a configuration are evaluated.
type getRequest struct {
	sample.Nothing
	uri string
}

func (getRequest) Method() []byte  { return []byte("GET") }
func (r getRequest) URI() []byte   { return []byte(r.uri) }
func (getRequest) Version() []byte { return []byte("1.1") }
