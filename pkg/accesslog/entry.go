package accesslog

import (
	"net/netip"
	"strconv"
	"time"

	"waggle/pkg/sample"
)

// Style is the form of an entry's line.
type Style uint8

// The styles: HAProxy's manual, chapter 8.2.
const (
	Connect Style = iota // without an option: "Connect from … to … (frontend/MODE)"
	TCP                  // option tcplog
	HTTP                 // option httplog
	Custom               // log-format: Format says how
	Failed               // a connection that came to nothing: "client [date] frontend/bind: why"
)

// Entry is one finished session or request. Whichever path served it fills one; an entry may be used again for the
// next. Byte slices are only read during [Logger.Log].
type Entry struct {
	Style Style
	// Err logs at level err instead of info (option log-separate-errors).
	Err bool
	// ASAP marks the line as written before the end (option logasap): what may still grow gets a '+'.
	ASAP bool

	// Level is the level of the line instead of info or err, where HasLevel says so (set-log-level).
	Level    Level
	HasLevel bool

	Client netip.AddrPort
	Dest   netip.AddrPort // where the client connected to; only Connect and formats show it
	Source netip.AddrPort // where we connected to the server from; only formats show it
	Target netip.AddrPort // the server's address; only formats show it
	// Time is when the connection was accepted, or the first byte of the request came for HTTP.
	Time time.Time
	// Accept is when the connection was accepted, or became idle before this request; zero is Time.
	Accept time.Time

	Frontend string
	HTTPMode bool // of the frontend; only Connect shows it
	TLS      bool // the client side is TLS: the frontend's name gets a '~'
	TLSState *sample.TLS
	Backend  string // the frontend's name when no backend was chosen
	Server   string // "" is written <NOSRV>; <STATS> is written as given

	// Timers in milliseconds, -1 where the phase was not reached: reading the request, waiting in queues,
	// connecting, waiting for the response head, and all of it (Ta of a request, Tt of a session).
	TR, Tw, Tc, Tr, Ta, Tt int
	Th, Ti                 int // handshakes, and idle before the request; only formats show them

	Status   int    // 0 is written -1: there was no response
	Bytes    int64  // sent to the client
	Uploaded int64  // received from the client
	Counter  uint64 // the number of the request or session among all

	// Fault is why the connection has ended before there was a request or a session, on the bind line Bind.
	Fault sample.ConnError
	Bind  string

	UniqueID []byte // nil: there is none

	// CookieIn and CookieOut are captured cookies; nil is written "-".
	CookieIn, CookieOut []byte
	// State is the termination state: four characters for HTTP, of which TCP shows two. Zero bytes are
	// written '-'.
	State [4]byte

	// Concurrent connections when the line is written: of the process, frontend, backend and server.
	ActConn, FeConn, BeConn, SrvConn int
	Retries                          int
	Redispatched                     bool // Retries gets a '+'
	// Requests that were served first while this one waited.
	SrvQueue, BeQueue int

	// RequestHeaders and ResponseHeaders are captured headers in the order of their declaration. nil means that
	// none are declared; a declared header that was absent is an empty slice.
	RequestHeaders, ResponseHeaders [][]byte
	// Request is the request line; nil is written <BADREQ>.
	Request []byte

	// Format is the form of a Custom line. Its expressions look at Subject; nil knows what the entry knows.
	Format  *sample.Format
	Subject sample.Subject
	// Data is the structured data of targets in rfc5424 (log-format-sd), evaluated like Format; nil is none.
	Data *sample.Format

	// What the logger adds.
	loc      *time.Location
	pid      int
	hostname string
	view     view
}

// NoTimers sets all timers to "not reached".
func (e *Entry) NoTimers() {
	e.TR, e.Tw, e.Tc, e.Tr, e.Ta, e.Tt = -1, -1, -1, -1, -1, -1
	e.Th, e.Ti = 0, 0
}

func (e *Entry) level() Level {
	if e.HasLevel {
		return e.Level
	}
	if e.Err {
		return Err
	}
	return Info
}

// Append appends the entry's line without line end, its time in loc. It does not allocate.
func (e *Entry) Append(dst []byte, loc *time.Location) []byte {
	switch e.Style {
	case Custom:
		return e.appendCustom(dst, loc)
	case HTTP:
		return e.appendHTTP(dst, loc)
	case TCP:
		return e.appendTCP(dst, loc)
	case Failed:
		return e.appendFailed(dst, loc)
	}
	return e.appendConnect(dst)
}

// appendCustom writes what Format says.
func (e *Entry) appendCustom(dst []byte, loc *time.Location) []byte {
	return e.appendFormat(dst, e.Format, loc)
}

// appendFormat writes what a format says of the entry.
func (e *Entry) appendFormat(dst []byte, f *sample.Format, loc *time.Location) []byte {
	e.loc = loc
	s := e.Subject
	if s == nil {
		e.view.e = e
		s = &e.view
	}
	return f.Append(dst, s, e)
}

// appendFailed writes %ci:%cp [%t] frontend/bind: why, as HAProxy's manual, section 8.2.6, has it.
func (e *Entry) appendFailed(dst []byte, loc *time.Location) []byte {
	dst = e.appendClient(dst, loc)
	dst = append(dst, e.Frontend...)
	dst = append(append(dst, '/'), e.Bind...)
	return append(append(dst, ": "...), e.Fault.String()...)
}

func (e *Entry) appendConnect(dst []byte) []byte {
	dst = append(dst, "Connect from "...)
	dst = appendAddr(dst, e.Client)
	dst = append(dst, " to "...)
	dst = appendAddr(dst, e.Dest)
	dst = append(dst, " ("...)
	dst = append(dst, e.Frontend...)
	if e.HTTPMode {
		return append(dst, "/HTTP)"...)
	}
	return append(dst, "/TCP)"...)
}

// appendTCP writes %ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq.
func (e *Entry) appendTCP(dst []byte, loc *time.Location) []byte {
	dst = e.appendSubject(dst, loc)
	dst = appendInts(dst, e.Tw, e.Tc)
	dst = append(dst, '/')
	dst = e.appendTotal(dst, int64(e.Tt))
	dst = append(dst, ' ')
	dst = e.appendTotal(dst, e.Bytes)
	dst = append(dst, ' ')
	dst = e.appendState(dst, 2)
	return e.appendLoad(dst)
}

// appendHTTP writes %ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr
// %hs %{+Q}r.
func (e *Entry) appendHTTP(dst []byte, loc *time.Location) []byte {
	dst = e.appendSubject(dst, loc)
	dst = appendInts(dst, e.TR, e.Tw, e.Tc, e.Tr)
	dst = append(dst, '/')
	dst = e.appendTotal(dst, int64(e.Ta))
	dst = append(dst, ' ')
	status := e.Status
	if status == 0 {
		status = -1
	}
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = e.appendTotal(dst, e.Bytes)
	dst = append(dst, ' ')
	dst = appendCookie(dst, e.CookieIn)
	dst = append(dst, ' ')
	dst = appendCookie(dst, e.CookieOut)
	dst = append(dst, ' ')
	dst = e.appendState(dst, 4)
	dst = e.appendLoad(dst)
	dst = appendCaptures(dst, e.RequestHeaders)
	dst = appendCaptures(dst, e.ResponseHeaders)
	dst = append(dst, ` "`...)
	if e.Request == nil {
		dst = append(dst, "<BADREQ>"...)
	} else {
		dst = appendEscaped(dst, e.Request, inQuotes)
	}
	return append(dst, '"')
}

// appendSubject writes who, when, and by whom it was served.
func (e *Entry) appendSubject(dst []byte, loc *time.Location) []byte {
	dst = e.appendClient(dst, loc)
	dst = append(dst, e.Frontend...)
	if e.TLS {
		dst = append(dst, '~')
	}
	dst = append(dst, ' ')
	dst = append(dst, e.Backend...)
	dst = append(dst, '/')
	if e.Server == "" {
		dst = append(dst, "<NOSRV>"...)
	} else {
		dst = append(dst, e.Server...)
	}
	return append(dst, ' ')
}

// appendClient writes who and when.
func (e *Entry) appendClient(dst []byte, loc *time.Location) []byte {
	dst = appendAddr(dst, e.Client)
	dst = append(dst, " ["...)
	dst = e.Time.In(loc).AppendFormat(dst, "02/Jan/2006:15:04:05.000")
	return append(dst, "] "...)
}

// appendTotal writes a number that may still grow when the line is early.
func (e *Entry) appendTotal(dst []byte, n int64) []byte {
	if e.ASAP {
		dst = append(dst, '+')
	}
	return strconv.AppendInt(dst, n, 10)
}

func (e *Entry) appendState(dst []byte, n int) []byte {
	for _, c := range e.State[:n] {
		if c == 0 {
			c = '-'
		}
		dst = append(dst, c)
	}
	return append(dst, ' ')
}

// appendLoad writes connection counts, retries and queues.
func (e *Entry) appendLoad(dst []byte) []byte {
	dst = appendInts(dst, e.ActConn, e.FeConn, e.BeConn, e.SrvConn)
	dst = append(dst, '/')
	if e.Redispatched {
		dst = append(dst, '+')
	}
	dst = strconv.AppendInt(dst, int64(e.Retries), 10)
	dst = append(dst, ' ')
	return appendInts(dst, e.SrvQueue, e.BeQueue)
}

// cipher is what %sslc shows.
func (e *Entry) cipher() string {
	if e.TLSState == nil {
		return ""
	}
	return e.TLSState.Cipher
}

// tlsVersion is what %sslv shows.
func (e *Entry) tlsVersion() string {
	if e.TLSState == nil {
		return ""
	}
	return e.TLSState.Version
}
