package sample

import (
	"net/netip"
	"strconv"
)

// Variable is one of the variables of log formats (HAProxy configuration manual, 8.2.6).
type Variable uint8

// The variables, by what they show.
const (
	VarNone             Variable = iota
	VarBytesRead                 // %B
	VarRequestCookie             // %CC
	VarResponseCookie            // %CS
	VarHostname                  // %H
	VarMethod                    // %HM
	VarURIPath                   // %HP
	VarPath                      // %HPO
	VarQuery                     // %HQ
	VarURI                       // %HU
	VarVersion                   // %HV
	VarUniqueID                  // %ID
	VarStatus                    // %ST
	VarDateGMT                   // %T
	VarActiveTime                // %Ta
	VarConnectTime               // %Tc
	VarDataTime                  // %Td
	VarHandshakeTime             // %Th
	VarIdleTime                  // %Ti
	VarDateLocal                 // %Tl
	VarRequestWait               // %Tq
	VarRequestTime               // %TR
	VarResponseTime              // %Tr
	VarTimestamp                 // %Ts
	VarTotalTime                 // %Tt
	VarUserTime                  // %Tu
	VarQueueTime                 // %Tw
	VarBytesUploaded             // %U
	VarProcessConns              // %ac
	VarBackend                   // %b
	VarBackendConns              // %bc
	VarSourceIP                  // %bi
	VarSourcePort                // %bp
	VarBackendQueue              // %bq
	VarClientIP                  // %ci
	VarClientPort                // %cp
	VarFrontend                  // %f
	VarFrontendConns             // %fc
	VarFrontendIP                // %fi
	VarFrontendPort              // %fp
	VarTransport                 // %ft
	VarRequestHeaders            // %hr
	VarRequestHeadersL           // %hrl
	VarResponseHeaders           // %hs
	VarResponseHeadersL          // %hsl
	VarMilliseconds              // %ms
	VarPID                       // %pid
	VarRequestLine               // %r
	VarRetries                   // %rc
	VarCounter                   // %rt
	VarServer                    // %s
	VarServerConns               // %sc
	VarServerIP                  // %si
	VarServerPort                // %sp
	VarServerQueue               // %sq
	VarAcceptDate                // %t
	VarRequestDate               // %tr
	VarRequestDateGMT            // %trg
	VarRequestDateLocal          // %trl
	VarState                     // %ts
	VarStateCookie               // %tsc
	VarTLSCipher                 // %sslc
	VarTLSVersion                // %sslv
)

// captures says whether the variable shows captured headers, which may be nothing at all.
func (v Variable) captures() bool {
	switch v {
	case VarRequestHeaders, VarResponseHeaders, VarRequestHeadersL, VarResponseHeadersL:
		return true
	}
	return false
}

// logVariable is a variable's name and where it means something.
type logVariable struct {
	name string
	v    Variable
	http bool
}

var logVariables = []logVariable{
	{"B", VarBytesRead, false}, {"CC", VarRequestCookie, true}, {"CS", VarResponseCookie, true}, {"H", VarHostname, false},
	{"HM", VarMethod, true}, {"HP", VarURIPath, true}, {"HPO", VarPath, true}, {"HQ", VarQuery, true}, {"HU", VarURI, true},
	{"HV", VarVersion, true}, {"ID", VarUniqueID, false}, {"ST", VarStatus, false}, {"T", VarDateGMT, false},
	{"Ta", VarActiveTime, true}, {"Tc", VarConnectTime, false}, {"Td", VarDataTime, false}, {"Th", VarHandshakeTime, false},
	{"Ti", VarIdleTime, true}, {"Tl", VarDateLocal, false}, {"Tq", VarRequestWait, true}, {"TR", VarRequestTime, true},
	{"Tr", VarResponseTime, true}, {"Ts", VarTimestamp, false}, {"Tt", VarTotalTime, false}, {"Tu", VarUserTime, false},
	{"Tw", VarQueueTime, false}, {"U", VarBytesUploaded, false}, {"ac", VarProcessConns, false}, {"b", VarBackend, false},
	{"bc", VarBackendConns, false}, {"bi", VarSourceIP, false}, {"bp", VarSourcePort, false}, {"bq", VarBackendQueue, false},
	{"ci", VarClientIP, false}, {"cp", VarClientPort, false}, {"f", VarFrontend, false}, {"fc", VarFrontendConns, false},
	{"fi", VarFrontendIP, false}, {"fp", VarFrontendPort, false}, {"ft", VarTransport, false}, {"hr", VarRequestHeaders, false},
	{"hrl", VarRequestHeadersL, false}, {"hs", VarResponseHeaders, false}, {"hsl", VarResponseHeadersL, false},
	{"ms", VarMilliseconds, false}, {"pid", VarPID, false}, {"r", VarRequestLine, true}, {"rc", VarRetries, false},
	{"rt", VarCounter, false}, {"s", VarServer, false}, {"sc", VarServerConns, false}, {"si", VarServerIP, false},
	{"sp", VarServerPort, false}, {"sq", VarServerQueue, false}, {"t", VarAcceptDate, false}, {"tr", VarRequestDate, true},
	{"trg", VarRequestDateGMT, true}, {"trl", VarRequestDateLocal, true}, {"ts", VarState, false}, {"tsc", VarStateCookie, true},
	{"sslc", VarTLSCipher, false}, {"sslv", VarTLSVersion, false},
}

// otherVariables are those that HAProxy has and we do not.
const otherVariables = "lc"

// Flags are how a variable or an expression is written.
type Flags uint8

// The flags of a format, and Dash: what is absent is written as `-`, as log lines have it.
const (
	Quoted Flags = 1 << iota
	Hex
	Escaped
	Dash
)

// Variables knows the values of log variables.
type Variables interface {
	// AppendVariable appends v as the flags ask for.
	AppendVariable(dst []byte, v Variable, f Flags) []byte
}

// AppendText appends a text in quotes, escaped, or both; an absent one is nothing, `-` or `""`.
func AppendText[T []byte | string](dst []byte, text T, f Flags) []byte {
	if f&Quoted != 0 {
		dst = append(dst, '"')
	}
	switch {
	case len(text) > 0 && f&Escaped != 0:
		for i := range len(text) {
			if isOneOf(text[i], `"\]`) {
				dst = append(dst, '\\')
			}
			dst = append(dst, text[i])
		}
	case len(text) > 0:
		dst = append(dst, text...)
	case f&(Quoted|Dash) == Dash:
		dst = append(dst, '-')
	}
	if f&Quoted != 0 {
		dst = append(dst, '"')
	}
	return dst
}

// AppendNumber appends a number, in hexadecimal of at least four digits where the flags ask for that.
func AppendNumber(dst []byte, n int64, f Flags) []byte {
	if f&Hex == 0 {
		return strconv.AppendInt(dst, n, 10)
	}
	u := uint64(n)
	digits := 4
	for digits < 16 && u>>(4*digits) != 0 {
		digits++
	}
	for i := digits - 1; i >= 0; i-- {
		dst = append(dst, upperHex[u>>(4*i)&15])
	}
	return dst
}

// AppendAddr appends an address, in hexadecimal where the flags ask for that; an absent one is as an
// absent text.
func AppendAddr(dst []byte, a netip.Addr, f Flags) []byte {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return AppendText(dst, "", f)
	}
	if f&Hex != 0 {
		raw := a.As16()
		b := raw[:]
		if a.Is4() {
			b = raw[12:]
		}
		for _, c := range b {
			dst = append(dst, upperHex[c>>4], upperHex[c&15])
		}
		return dst
	}
	if f&Quoted != 0 {
		dst = append(dst, '"')
	}
	dst = a.AppendTo(dst)
	if f&Quoted != 0 {
		dst = append(dst, '"')
	}
	return dst
}
