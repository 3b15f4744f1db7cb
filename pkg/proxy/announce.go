package proxy

import (
	"waggle/pkg/proxy/adapter"
	"waggle/pkg/proxy/proxyproto"
	"waggle/pkg/sample"
)

// announce puts a PROXY protocol header in front of all that is sent over a new connection to a server
// with send-proxy or send-proxy-v2. The header speaks for one client, so such a connection is never used
// for another one.
func (s *session) announce() {
	version := s.target.Server.SendProxy
	if version == 0 || s.link.peer != nil { // on TLS it has gone before the handshake
		return
	}
	l := s.link
	s.w.buffers.borrow(&l.out)
	out := proxyproto.Append(l.out.data[:l.out.w], version, s.src, s.Dst())
	l.out.w = len(out)
	l.send()
}

// greet waits for the PROXY header of a client that must send one. From then on its addresses are those of the
// connection, for everything but `tcp-request connection` rules (HAProxy, section 5.1, accept-proxy).
func (s *session) greet() step {
	c := &s.client
	if c.in.len() > 0 {
		h, n, err := proxyproto.Parse(c.in.bytes())
		switch {
		case err != nil, n == 0 && c.in.len() >= proxyproto.MaxHeader:
			s.feShard().ReqErrors.Add(1)
			s.refuseGreeting(adapter.HeaderFault(err))
			return stuck
		case n > 0:
			s.greeted(h, n)
			return moved
		}
	}
	if !c.fill() {
		return stuck
	}
	if c.eof {
		s.refuseGreeting(adapter.NoHeaderFault(c.in.len()))
		return stuck
	}
	return moved
}

// greeted goes on behind a header of n bytes, which count as none of the client's.
func (s *session) greeted(h proxyproto.Header, n int) {
	if !h.Local {
		s.src, s.dst = h.Src, h.Dst
	}
	s.client.consume(n)
	s.client.got -= int64(n)
	s.open()
}

// refuseGreeting closes without an answer: who did not send the header is no HTTP client that we know.
func (s *session) refuseGreeting(why sample.ConnError) {
	s.w.fault(s.via, s.src, s.begun, why)
	s.end()
}
