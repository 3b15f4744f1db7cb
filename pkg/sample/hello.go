package sample

// hello is what a TLS handshake begins with, as far as it is in the clear (RFC 8446, section 4.1.2). Texts are parts of
// what was parsed.
type hello struct {
	kind byte   // of the handshake message: 1 is ClientHello
	sni  []byte // nil: no name is asked for
	alpn []byte // the list of protocols, each behind its length; well-formed
}

// helloState says how far a ClientHello can be read.
type helloState uint8

const (
	helloPart helloState = iota // more bytes are needed
	helloNone                   // this is no TLS handshake
	helloWhole
)

const (
	recordHandshake = 22 // content type (RFC 8446, section 5.1)
	recordHead      = 5
	clientHello     = 1
	extensionName   = 0  // RFC 6066, section 3
	extensionALPN   = 16 // RFC 7301, section 3.1
)

// parseHello reads the first record of a connection. As for HAProxy the message must lie in one record.
func parseHello(b []byte) (h hello, state helloState) {
	if len(b) == 0 {
		return h, helloPart
	}
	if b[0] != recordHandshake || len(b) > 1 && b[1] != 3 {
		return h, helloNone
	}
	if len(b) < recordHead {
		return h, helloPart
	}
	size := int(b[3])<<8 | int(b[4])
	if size < 4 || size > 1<<14 {
		return h, helloNone
	}
	if len(b) < recordHead+size {
		return h, helloPart
	}
	message := cut{rest: b[recordHead : recordHead+size]}
	h.kind = message.take(1).first()
	body := message.list(3)
	if message.bad {
		return hello{}, helloNone
	}
	if h.kind == clientHello && !h.client(body) {
		return hello{}, helloNone
	}
	return h, helloWhole
}

// client reads the body of a ClientHello.
func (h *hello) client(c *cut) bool {
	c.take(2 + 32) // version and random
	c.list(1)      // session
	c.list(2)      // cipher suites
	c.list(1)      // compression
	if c.bad || len(c.rest) == 0 {
		return !c.bad // extensions may be missing
	}
	for all := c.list(2); !c.bad && len(all.rest) > 0; {
		kind := all.take(2)
		value := all.list(2)
		if all.bad {
			return false
		}
		switch int(kind.rest[0])<<8 | int(kind.rest[1]) {
		case extensionName:
			names := value.list(2)
			for len(names.rest) > 0 && h.sni == nil {
				isHost := names.take(1).first() == 0
				if name := names.list(2); isHost && !names.bad {
					h.sni = name.rest
				}
				if names.bad {
					return false
				}
			}
		case extensionALPN:
			h.alpn = value.list(2).rest
			for protocols := (cut{rest: h.alpn}); len(protocols.rest) > 0; {
				if protocols.list(1); protocols.bad {
					return false
				}
			}
		}
		if value.bad {
			return false
		}
	}
	return !c.bad
}

// cut takes bytes off the front of others. When they do not suffice it is bad from then on, and gives nothing.
type cut struct {
	rest []byte
	bad  bool
}

// take cuts n bytes off.
func (c *cut) take(n int) *cut {
	if c.bad || n > len(c.rest) {
		c.bad, c.rest = true, nil
		return &cut{bad: true}
	}
	taken := cut{rest: c.rest[:n]}
	c.rest = c.rest[n:]
	return &taken
}

// list cuts off what stands behind a length of n bytes.
func (c *cut) list(n int) *cut {
	size := 0
	for _, b := range c.take(n).rest {
		size = size<<8 | int(b)
	}
	return c.take(size)
}

func (c *cut) first() byte {
	if len(c.rest) == 0 {
		return 0
	}
	return c.rest[0]
}
