package proxy

import (
	"waggle/pkg/config"
	"waggle/pkg/proxy/sock"
)

// silence has the connection end without a word to the client, who keeps it open: see [sock.Mute]. Answers to requests
// before are sent first. It is the caller's to end the session.
func (s *session) silence(hops int) {
	if g := s.guest; g != nil {
		g.mute(hops)
		return
	}
	if s.client.fd >= 0 {
		s.client.push()
		sock.Mute(s.client.fd, hops)
	}
}

// silentDropResponse ends a session so in place of the response.
func (s *session) silentDropResponse(r *config.HTTPRule) {
	s.countDeniedResponse()
	s.terminate('P', 'H')
	s.record()
	s.silence(r.Hops)
	s.end()
}
