// Package h1 is the HTTP/1.0 and HTTP/1.1 codec of an event loop that forwards messages: it parses heads,
// says how a body is delimited, follows chunked bodies without copying them, and writes the heads that
// are passed on.
//
// It does no I/O and keeps no goroutine. All state lives in values that the caller owns and uses again
// for the next message ([Request], [Response], [Chunked], [Edits]); once these have grown to their working
// size nothing allocates. No value is safe for concurrent use: each belongs to one loop.
//
// The codec is strict (RFC 9110, RFC 9112): what two implementations could read differently is an error
// with a [Reason], never a guess. In particular it refuses Content-Length together with
// Transfer-Encoding, repeated or malformed lengths, codings other than chunked, folded lines, bare CR or
// LF, control bytes, blanks before a colon, and framing fields in trailers.
//
// A parsed head is a set of offsets into the caller's buffer, which must stay unchanged while the head is
// in use. When the bytes move (a ring is compacted, a head is saved until a server is free), tell the
// head by Rebase.
//
// A request on its way through the proxy:
//
//	n, why := req.Parse(in)           // n == 0 and why == OK: read more, call again with the longer buffer
//	…choose a server by req.Path(), req.Header("host")…
//	out = req.AppendTo(out, &edits, h1.Hop{KeepAlive: true})
//	…then pass the body on: req.Framing, req.ContentLength, Chunked.Scan…
//	n, why = resp.Parse(in, h1.Asked{Method: req.Method})
//	…resp.Interim() heads are forwarded, and then another head follows…
//	out = resp.AppendTo(out, &edits, h1.Hop{KeepAlive: keep})
package h1
