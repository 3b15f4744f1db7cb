package proxy

import (
	"bytes"

	"waggle/pkg/proxy/h1"
)

// how says how an answer of our own is sent. s.keep has been set.
func (s *session) how() h1.Reply {
	return h1.Reply{Minor: s.replyMinor(), KeepAlive: s.keep, NoBody: s.clock.head > 0 && s.req.Method == h1.MethodHead}
}

// replyMinor is the version to answer in: that of the request, 1.1 if none was read.
func (s *session) replyMinor() uint8 {
	if s.clock.head == 0 {
		return 1
	}
	return s.req.Minor
}

// keepsClient says whether the client's connection can be used again after an answer of our own.
func (s *session) keepsClient() bool {
	s.skipBody()
	return s.mayKeep() && s.up.complete()
}

// answer sends the page of a status: the proxy's errorfile, or HAProxy's own. A connection on which a body
// has not been read, or no request could be, is closed after it.
func (s *session) answer(status int) {
	s.status = status
	s.keep = s.keepsClient() && status != 408 && status != 400
	if page := s.errorPage(status); page != nil {
		s.replyPage(page)
		return
	}
	if r := s.errorReply(status); r != nil {
		s.sendReplyAs(r, status)
		return
	}
	s.reply(h1.AppendError(nil, status, s.how()))
}

// replyPage sends a file of the configuration, of which a client that asks for the head gets that alone.
func (s *session) replyPage(page []byte) {
	s.keep = false // the file says what it likes about the connection and the length
	if end := bytes.Index(page, headEnd); end >= 0 && s.how().NoBody {
		page = page[:end+len(headEnd)]
	}
	s.reply(page)
}

var headEnd = []byte("\r\n\r\n")

func (s *session) errorPage(status int) []byte {
	if s.be != nil {
		if page := s.be.errors[status]; page != nil {
			return page
		}
	}
	return s.fe.errors[status]
}

// reply has a whole response of our own written. The server, if one was chosen, is given back.
func (s *session) reply(message []byte) {
	(*subject)(s).UniqueID() // the log will ask for it
	s.msg.respHead, s.msg.replaced = s.msg.respHead[:0], false
	if s.fe.after && s.fe.cfg.HTTP {
		message = s.afterResponse(message)
	}
	s.countStatus(s.status)
	s.cancelTicket()
	s.w.loop.Disarm(&s.serverTimer)
	s.pending = message
	s.phase = replying
}

// countStatus counts a response in the frontend, in the backend, and in the server if it made it.
func (s *session) countStatus(status int) {
	s.feShard().CountStatus(status)
	s.tallyStatus(status)
	if s.be != nil {
		s.be.stats.Counters.Shard(s.w.shard).CountStatus(status)
	}
}

// writeReply moves an answer of our own into the client's buffer, piece by piece.
func (s *session) writeReply() step {
	c := &s.client
	if c.lost || c.broken {
		s.terminate('C', 'D')
		s.clientAborted()
		s.record()
		s.end()
		return stuck
	}
	if !c.reserve(1) {
		return stuck
	}
	n := copy(c.out.free(), s.pending)
	c.out.w += n
	s.pending = s.pending[n:]
	c.send()
	if len(s.pending) == 0 {
		s.finish()
	}
	return moved
}

// finish ends a request whose response is on its way: the server is given back, and the client's
// connection waits for the next request or is closed.
func (s *session) finish() {
	s.record()
	s.leaveServer(s.responded && s.up.complete())
	if s.keep {
		s.nextRequest()
		return
	}
	s.shutDown()
}
