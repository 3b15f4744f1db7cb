package sample

import "bytes"

// uriPathQuery gives the request target from its path on: the part behind scheme and authority of an
// absolute form, nil for `*`, for an authority form, and where an absolute form has no path (RFC 9112
// section 3.2).
func uriPathQuery(uri []byte) []byte {
	if len(uri) == 0 || uri[0] == '/' {
		if len(uri) == 0 {
			return nil
		}
		return uri
	}
	i := bytes.Index(uri, schemeEnd)
	if i <= 0 || bytes.IndexByte(uri[:i], '/') >= 0 {
		return nil
	}
	rest := uri[i+len(schemeEnd):]
	if j := bytes.IndexAny(rest, "/?"); j >= 0 {
		return rest[j:]
	}
	return nil
}

var schemeEnd = []byte("://")

// uriPath gives the path without the query; parameters behind a `;` belong to it.
func uriPath(uri []byte) []byte {
	p := uriPathQuery(uri)
	if i := bytes.IndexByte(p, '?'); i >= 0 {
		return p[:i]
	}
	return p
}

// uriQuery gives what follows the first `?`, nil if there is none.
func uriQuery(uri []byte) []byte {
	i := bytes.IndexByte(uri, '?')
	if i < 0 {
		return nil
	}
	return uri[i+1:]
}
