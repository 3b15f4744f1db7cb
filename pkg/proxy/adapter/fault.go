package adapter

import (
	"errors"
	"io"
	"os"

	"waggle/pkg/proxy/proxyproto"
	"waggle/pkg/sample"
)

// HeaderFault is what an error of [proxyproto.Parse] means for the connection. A nil error is a header without end.
func HeaderFault(err error) sample.ConnError {
	if errors.Is(err, proxyproto.ErrMissing) {
		return sample.ProxyMissing
	}
	return sample.ProxyMalformed
}

// NoHeaderFault is for a client that has closed after the first n bytes of a header.
func NoHeaderFault(n int) sample.ConnError {
	if n == 0 {
		return sample.ProxyClosed
	}
	return sample.ProxyTruncated
}

// readFault is what an error of reading a header means, of which got bytes had come.
func readFault(err error, got int) sample.ConnError {
	switch {
	case errors.Is(err, os.ErrClosed): // by us: the process ends
		return sample.ConnOK
	case errors.Is(err, os.ErrDeadlineExceeded):
		return sample.ProxyTimeout
	}
	return NoHeaderFault(got)
}

// handshakeFault is what an error of the handshake means. As with HAProxy it does not matter how much had come before the
// client closed.
func handshakeFault(err error) sample.ConnError {
	switch {
	case errors.Is(err, os.ErrClosed):
		return sample.ConnOK
	case errors.Is(err, os.ErrDeadlineExceeded):
		return sample.TLSTimeout
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return sample.TLSClosed
	}
	return sample.TLSFailed
}
