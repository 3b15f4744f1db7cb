package accesslog

import (
	"bytes"
	"net/netip"
	"os"
	"strconv"
	"time"

	"waggle/pkg/sample"
	"waggle/pkg/unixaddr"
)

// AppendVariable implements sample.Variables: it appends one of the variables of log formats (HAProxy's
// manual, chapter 8.2.6). It does not allocate.
func (e *Entry) AppendVariable(dst []byte, v sample.Variable, f sample.Flags) []byte {
	if n, ok := e.number(v); ok {
		return e.appendNumber(dst, v, n, f)
	}
	if name, ok := e.name(v); ok {
		return sample.AppendText(dst, name, f)
	}
	if at, layout := e.moment(v); layout != "" {
		return at.AppendFormat(dst, layout)
	}
	switch v {
	case sample.VarClientIP:
		return appendIP(dst, e.Client, f)
	case sample.VarFrontendIP:
		return appendIP(dst, e.Dest, f)
	case sample.VarSourceIP:
		return appendIP(dst, e.Source, f)
	case sample.VarServerIP:
		return appendIP(dst, e.Target, f)
	case sample.VarClientPort:
		return appendPort(dst, e.Client, f)
	case sample.VarFrontendPort:
		return appendPort(dst, e.Dest, f)
	case sample.VarSourcePort:
		return appendPort(dst, e.Source, f)
	case sample.VarServerPort:
		return appendPort(dst, e.Target, f)
	}
	return e.appendParts(dst, v, f)
}

// appendNumber appends a number, with the sign of one that may still grow.
func (e *Entry) appendNumber(dst []byte, v sample.Variable, n int64, f sample.Flags) []byte {
	switch v {
	case sample.VarBytesRead, sample.VarBytesUploaded, sample.VarTotalTime, sample.VarActiveTime:
		if e.ASAP {
			dst = append(dst, '+')
		}
	case sample.VarRetries:
		if e.Redispatched {
			dst = append(dst, '+')
		}
	case sample.VarTimestamp, sample.VarCounter, sample.VarPID:
		return sample.AppendNumber(dst, n, f)
	}
	return strconv.AppendInt(dst, n, 10)
}

// localSocket is how HAProxy shows what is no address: an end of a connection by a unix socket. A client's, or that of the
// frontend, has the number of the bind line for a port, and a server's none.
func localSocket(a netip.AddrPort) (name string, port uint16, ok bool) {
	if unixaddr.Is(a.Addr()) {
		return "unix", 0, true
	}
	return "unix", a.Port(), !a.IsValid() && a.Port() > 0
}

func appendIP(dst []byte, a netip.AddrPort, f sample.Flags) []byte {
	if name, _, ok := localSocket(a); ok {
		return sample.AppendText(dst, name, f)
	}
	return sample.AppendAddr(dst, a.Addr(), f)
}

func appendPort(dst []byte, a netip.AddrPort, f sample.Flags) []byte {
	if _, port, ok := localSocket(a); ok {
		return sample.AppendNumber(dst, int64(port), f)
	}
	if !a.IsValid() {
		return sample.AppendText(dst, "", f)
	}
	return sample.AppendNumber(dst, int64(a.Port()), f)
}

// number gives the variables that are numbers.
func (e *Entry) number(v sample.Variable) (int64, bool) {
	var n int
	switch v {
	case sample.VarBytesRead:
		return e.Bytes, true
	case sample.VarBytesUploaded:
		return e.Uploaded, true
	case sample.VarStatus:
		if n = e.Status; n == 0 && e.Fault == sample.ConnOK {
			n = -1
		}
	case sample.VarRequestTime:
		n = e.TR
	case sample.VarQueueTime:
		n = e.Tw
	case sample.VarConnectTime:
		n = e.Tc
	case sample.VarResponseTime:
		n = e.Tr
	case sample.VarActiveTime:
		n = e.Ta
	case sample.VarTotalTime:
		n = e.Tt
	case sample.VarHandshakeTime:
		n = e.Th
	case sample.VarIdleTime:
		n = e.Ti
	case sample.VarRequestWait:
		n = sumTimes(e.Th, e.Ti, e.TR)
	case sample.VarDataTime:
		n = e.dataTime()
	case sample.VarUserTime:
		n = e.Tt - max(e.Ti, 0) - max(e.Th, 0)
	case sample.VarProcessConns:
		n = e.ActConn
	case sample.VarFrontendConns:
		n = e.FeConn
	case sample.VarBackendConns:
		n = e.BeConn
	case sample.VarServerConns:
		n = e.SrvConn
	case sample.VarRetries:
		n = e.Retries
	case sample.VarServerQueue:
		n = e.SrvQueue
	case sample.VarBackendQueue:
		n = e.BeQueue
	case sample.VarTimestamp:
		return e.accepted().Unix(), true
	case sample.VarCounter:
		return int64(e.Counter), true
	case sample.VarPID:
		if n = e.pid; n == 0 {
			n = os.Getpid()
		}
	default:
		return 0, false
	}
	return int64(n), true
}

// sumTimes adds phases, all of which must have been reached.
func sumTimes(phases ...int) int {
	sum := 0
	for _, n := range phases {
		if n < 0 {
			return -1
		}
		sum += n
	}
	return sum
}

// dataTime is the time from the response's head to the end.
func (e *Entry) dataTime() int {
	if !e.HTTPMode {
		if e.Tc < 0 {
			return -1
		}
		return e.Tt - max(e.Tw, 0) - e.Tc
	}
	if e.Tr < 0 {
		return -1
	}
	return e.Ta - max(e.TR, 0) - max(e.Tw, 0) - max(e.Tc, 0) - e.Tr
}

// name gives the variables that are names.
func (e *Entry) name(v sample.Variable) (string, bool) {
	switch v {
	case sample.VarFrontend:
		return e.Frontend, true
	case sample.VarBackend:
		return e.Backend, true
	case sample.VarServer:
		if e.Server == "" {
			return "<NOSRV>", true
		}
		return e.Server, true
	case sample.VarHostname:
		return e.hostname, true
	}
	return "", false
}

// accepted is when the connection was accepted.
func (e *Entry) accepted() time.Time {
	if e.Accept.IsZero() {
		return e.Time
	}
	return e.Accept
}

// moment gives the variables that are dates, and how they are written.
func (e *Entry) moment(v sample.Variable) (time.Time, string) {
	const (
		exact = "02/Jan/2006:15:04:05.000"
		zoned = "02/Jan/2006:15:04:05 -0700"
	)
	switch v {
	case sample.VarAcceptDate:
		return e.accepted().In(e.zone()), exact
	case sample.VarRequestDate:
		return e.Time.In(e.zone()), exact
	case sample.VarDateGMT:
		return e.accepted().UTC(), zoned
	case sample.VarDateLocal:
		return e.accepted().In(e.zone()), zoned
	case sample.VarRequestDateGMT:
		return e.Time.UTC(), zoned
	case sample.VarRequestDateLocal:
		return e.Time.In(e.zone()), zoned
	}
	return time.Time{}, ""
}

func (e *Entry) zone() *time.Location {
	if e.loc == nil {
		return time.Local
	}
	return e.loc
}

// appendParts appends what is taken from the request line, and what is made of several values.
func (e *Entry) appendParts(dst []byte, v sample.Variable, f sample.Flags) []byte {
	switch v {
	case sample.VarTransport:
		dst = appendQuote(dst, f)
		dst = append(dst, e.Frontend...)
		if e.TLS {
			dst = append(dst, '~')
		}
		return appendQuote(dst, f)
	case sample.VarUniqueID:
		return sample.AppendText(dst, e.UniqueID, f)
	case sample.VarMilliseconds:
		ms := e.accepted().Nanosecond() / int(time.Millisecond)
		return append(dst, '0'+byte(ms/100), '0'+byte(ms/10%10), '0'+byte(ms%10))
	case sample.VarState:
		return e.appendStateOf(dst, 2)
	case sample.VarTLSCipher:
		return sample.AppendText(dst, e.cipher(), f)
	case sample.VarTLSVersion:
		return sample.AppendText(dst, e.tlsVersion(), f)
	case sample.VarStateCookie:
		return e.appendStateOf(dst, 4)
	case sample.VarRequestCookie:
		return appendEncoded(dst, e.CookieIn, " "+inQuotes, f)
	case sample.VarResponseCookie:
		return appendEncoded(dst, e.CookieOut, " "+inQuotes, f)
	case sample.VarRequestHeaders:
		return appendBraces(dst, e.RequestHeaders, f)
	case sample.VarResponseHeaders:
		return appendBraces(dst, e.ResponseHeaders, f)
	case sample.VarRequestHeadersL:
		return appendList(dst, e.RequestHeaders, f)
	case sample.VarResponseHeadersL:
		return appendList(dst, e.ResponseHeaders, f)
	}
	return e.appendRequest(dst, v, f)
}

func (e *Entry) appendStateOf(dst []byte, n int) []byte {
	dst = e.appendState(dst, n)
	return dst[:len(dst)-1] // without its blank
}

func appendQuote(dst []byte, f sample.Flags) []byte {
	if f&sample.Quoted != 0 {
		dst = append(dst, '"')
	}
	return dst
}

// appendEncoded appends what a peer sent, with #XX in place of what could be mistaken.
func appendEncoded(dst, b []byte, special string, f sample.Flags) []byte {
	if len(b) == 0 {
		return sample.AppendText(dst, "", f)
	}
	dst = appendQuote(dst, f)
	from := len(dst)
	dst = appendEscaped(dst, b, special)
	if f&sample.Escaped != 0 {
		dst = escapeFrom(dst, from)
	}
	return appendQuote(dst, f)
}

// escapeFrom puts a backslash before what ends a parameter of structured data (RFC 5424 section 6.3.3). Quotes
// are encoded already.
func escapeFrom(dst []byte, from int) []byte {
	for i := from; i < len(dst); i++ {
		if dst[i] == '\\' || dst[i] == ']' {
			dst = append(dst, 0)
			copy(dst[i+1:], dst[i:])
			dst[i] = '\\'
			i++
		}
	}
	return dst
}

// appendBraces appends captured headers as {a|b}, nothing when none are declared.
func appendBraces(dst []byte, values [][]byte, f sample.Flags) []byte {
	if values == nil {
		return dst
	}
	dst = appendQuote(dst, f)
	from := len(dst)
	dst = append(dst, '{')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, '|')
		}
		dst = appendEscaped(dst, v, inBraces)
	}
	dst = append(dst, '}')
	if f&sample.Escaped != 0 {
		dst = escapeFrom(dst, from)
	}
	return appendQuote(dst, f)
}

// appendList appends captured headers with blanks between.
func appendList(dst []byte, values [][]byte, f sample.Flags) []byte {
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ' ')
		}
		dst = appendEncoded(dst, v, inBraces, f)
	}
	return dst
}

var questionMark = []byte("?")

// appendRequest appends the request line or a part of it.
func (e *Entry) appendRequest(dst []byte, v sample.Variable, f sample.Flags) []byte {
	if e.Request == nil {
		return sample.AppendText(dst, "<BADREQ>", f)
	}
	if v == sample.VarRequestLine {
		return appendEncoded(dst, e.Request, inQuotes, f)
	}
	method, rest, _ := bytes.Cut(e.Request, []byte(" "))
	uri, version := rest, []byte(nil)
	if i := bytes.LastIndexByte(rest, ' '); i >= 0 {
		uri, version = rest[:i], rest[i+1:]
	}
	path, _, hasQuery := bytes.Cut(uri, questionMark)
	switch v {
	case sample.VarMethod:
		return appendEncoded(dst, method, inQuotes, f)
	case sample.VarURI:
		return appendEncoded(dst, uri, inQuotes, f)
	case sample.VarVersion:
		return appendEncoded(dst, version, inQuotes, f)
	case sample.VarURIPath:
		return appendEncoded(dst, path, inQuotes, f)
	case sample.VarPath:
		return appendEncoded(dst, withoutOrigin(path), inQuotes, f)
	case sample.VarQuery:
		if !hasQuery {
			return appendQuote(appendQuote(dst, f), f)
		}
		return appendEncoded(dst, uri[len(path):], inQuotes, f)
	}
	return dst
}

// withoutOrigin drops scheme and authority of an absolute form.
func withoutOrigin(path []byte) []byte {
	i := bytes.Index(path, []byte("://"))
	if i <= 0 || path[0] == '/' {
		return path
	}
	rest := path[i+len("://"):]
	if j := bytes.IndexByte(rest, '/'); j >= 0 {
		return rest[j:]
	}
	return nil
}
