package h1

// Asked is what a response's meaning depends on: the request it answers.
type Asked struct {
	Method Method
	// Upgrade says that the request was forwarded with its Upgrade field, so that 101 is an answer to it.
	Upgrade bool
}

// Response is a response head. The zero value is ready for use.
type Response struct {
	Head
	Status int // 100-999; RFC 9110 section 15 knows none above 599, but servers send them and HAProxy passes them on

	reason span
}

// Reset makes the response ready for the next message. Limits and grown storage stay.
func (r *Response) Reset() {
	r.Head.reset()
	*r = Response{Head: r.Head}
}

// Parse reads a response head from the start of buf, as Request.Parse does. A reason means that the
// server's answer cannot be forwarded: 502.
func (r *Response) Parse(buf []byte, asked Asked) (n int, why Reason) {
	r.buf = buf
	if r.scan.body > 0 {
		return r.scan.body, OK
	}
	if !r.scan.gotLine {
		line, ok, why := r.firstLine(false)
		if !ok {
			return 0, why
		}
		if why := r.statusLine(line); why != OK {
			return 0, why
		}
		r.scan.gotLine = true
	}
	done, why := r.readFields()
	if !done {
		return 0, why
	}
	if why := r.conclude(asked); why != OK {
		r.scan.body = 0
		return 0, why
	}
	return r.scan.body, OK
}

// statusLine reads version SP status [SP reason]. The space behind the status is not optional, but servers
// leave it out, and nothing depends on it.
func (r *Response) statusLine(line span) Reason {
	b := r.at(line)
	if len(b) < len("HTTP/1.1 200") || b[8] != ' ' {
		return BadStatusLine
	}
	if why := r.version(b[:8]); why != OK {
		return why
	}
	if !all(b[9:12], isDigit) || b[9] < '1' {
		return BadStatus
	}
	r.Status = int(b[9]-'0')*100 + int(b[10]-'0')*10 + int(b[11]-'0')
	if len(b) > 12 {
		if b[12] != ' ' {
			return BadStatusLine
		}
		r.reason = span{line.from + 13, line.to}
	}
	return OK
}

// conclude decides where the body ends, in the order of RFC 9112 section 6.3.
func (r *Response) conclude(asked Asked) Reason {
	if why := r.settle(); why != OK {
		return why
	}
	switch {
	case r.Status == 101:
		if !asked.Upgrade || !r.Upgrade {
			return UnexpectedSwitch
		}
		if r.facts.webSocket && r.Header("sec-websocket-accept") == nil {
			return BadWebSocket
		}
		r.Framing = BodyTunnel
	case asked.Method == MethodConnect && r.Status/100 == 2:
		r.Framing = BodyTunnel
	case r.Status < 200 || r.Status == 204:
		// Such a response must not say a length (RFC 9110 section 8.6), and one that is passed on would be
		// taken at its word by some clients.
		r.dropFraming()
	case asked.Method == MethodHead || r.Status == 304:
	case r.facts.chunked:
		r.Framing = BodyChunked
	case r.facts.hasLength:
		if r.facts.length > 0 {
			r.Framing, r.ContentLength = BodyLength, r.facts.length
		}
	default:
		r.Framing = BodyUntilClose
	}
	if r.Framing == BodyTunnel || r.Framing == BodyUntilClose {
		r.KeepAlive = false
	}
	if r.Status != 101 && r.Status != 426 {
		r.Upgrade = false
	}
	return OK
}

func (r *Response) dropFraming() {
	for i := range r.fields {
		if id := r.fields[i].id; id == idContentLength || id == idTransferEncoding {
			r.fields[i].hop = true
		}
	}
}

// Interim says that this head is a 1xx other than 101: the final response follows on the same connection.
// Interim heads are not forwarded to an HTTP/1.0 client (RFC 9110 section 15.2).
func (r *Response) Interim() bool { return r.Status < 200 && r.Status != 101 }

// ReasonPhrase is the reason phrase as it came, possibly empty.
func (r *Response) ReasonPhrase() []byte { return r.at(r.reason) }
