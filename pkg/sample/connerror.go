package sample

// ConnError is why a client's connection has ended before there was a request or a session on it. The numbers and the
// words are those of HAProxy's fc_err and fc_err_str, measured with 2.6, since people's filters look for them.
type ConnError uint8

// The errors. What HAProxy tells apart and we do not (other families of a PROXY header, say) has the number of the
// nearest of these.
const (
	ConnOK         ConnError = 0
	ProxyClosed    ConnError = 11 // nothing has come
	ProxyTimeout   ConnError = 13
	ProxyTruncated ConnError = 14 // the end came within the header
	ProxyMissing   ConnError = 15
	ProxyMalformed ConnError = 16
	TLSClosed      ConnError = 24 // before the handshake had ended
	TLSTimeout     ConnError = 26
	TLSFailed      ConnError = 34
)

// String gives HAProxy's words.
func (c ConnError) String() string {
	switch c {
	case ConnOK:
		return "Success"
	case ProxyClosed:
		return "Connection closed while waiting for PROXY protocol header"
	case ProxyTimeout:
		return "Timeout while waiting for PROXY protocol header"
	case ProxyTruncated:
		return "Truncated PROXY protocol header received"
	case ProxyMissing:
		return "Received something which does not look like a PROXY protocol header"
	case ProxyMalformed:
		return "Received an invalid PROXY protocol header"
	case TLSClosed:
		return "Connection closed during SSL handshake"
	case TLSTimeout:
		return "Timeout during SSL handshake"
	case TLSFailed:
		return "SSL handshake failure"
	}
	return "Unknown error"
}

// Null says whether the client has only knocked, as health checks and port scanners do: `option dontlognull` keeps these
// out of the log.
func (c ConnError) Null() bool {
	switch c {
	case ProxyClosed, ProxyTimeout, TLSClosed, TLSTimeout:
		return true
	}
	return false
}
