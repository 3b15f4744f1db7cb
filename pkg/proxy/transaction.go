package proxy

import (
	"net/netip"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
	"waggle/pkg/proxy/h1"
	"waggle/pkg/proxy/loop"
	"waggle/pkg/sample"
)

// transaction is a request with its response, or a TCP session. Loops lend them to sessions, so that there are no more
// than requests at once. Those in the store are as reset leaves them, with the storage that they have grown.
type transaction struct {
	be        *backend
	req       h1.Request
	resp      h1.Response
	edits     h1.Edits
	up, down  stream
	preview   preview                                // of a TCP session
	payload   payload                                // of a request
	coding    coding                                 // of its response
	ruled     struct{ server, tunnel time.Duration } // timeouts that rules have set; 0 = as configured
	stage     stage
	rule      int // of the stage, the next to run
	login     credentials
	headLen   int  // of the request, in the client's buffer
	taken     int  // bytes of the client's buffer that have been passed on, head included
	forgotten bool // the head is no longer in the buffer: the request cannot be sent again
	respLen   int  // of a response head that waits to be passed on
	responded bool // the final response's head has been passed on
	keep      bool // the client's connection is used again after this response
	pending   []byte
	handler   func(ServiceRequest) ServiceResponse
	service   string           // what answers the request instead of a server, as the log names it; "" = nothing does
	refused   *config.HTTPRule // by a tarpit rule
	ticket    *ticket
	peer      netip.AddrPort // what the session's src was before a rule changed it; zero if none did

	target     pool.Target // acquired, while target.Server is not nil
	link       *link
	reused     bool
	avoid      *pool.Server
	persist    persist
	retries    int
	redispatch bool
	once       bool // the request is not sent again after it has reached a server

	status int
	why    [2]byte // termination state, for the log
	clock  times
	line   []byte // the request line, for the log
	logged bool   // there is nothing left to log

	// of its wait for a server
	priority pool.Priority
	passed   pool.Passed
	awaited  *pool.Server // in whose queue it waited last, or which refused it

	serverTimer loop.Timer
	startOut    int64  // bytes for the client before this request's response
	startIn     int64  // bytes of the client before this request
	number      uint64 // of the request, or TCP session, among all
	msg         message
}

// preview is what is known of a request that a TCP client may have begun with.
type preview struct {
	looked      int  // bytes that have been looked at
	whole, none bool // its head has come, or this is no request
}

// wake gives the session a transaction if it has none.
func (s *session) wake() {
	if s.transaction != nil {
		return
	}
	w := s.w
	var ok bool
	if s.transaction, ok = w.transactions.take(); !ok {
		s.transaction = &transaction{}
		s.req.Limits, s.resp.Limits = w.e.sizes.limits, w.e.sizes.limits
		s.transaction.reset()
	}
	s.serverTimer.Owner = s
	s.mark()
}

// mark notes what the connection had carried before the request.
func (s *session) mark() {
	s.clock.idle = s.idle
	s.startOut, s.startIn = s.client.taking(), s.consumed()
}

// rest gives the transaction of a session back that has ended, or that waits for a client that has said nothing yet and
// of whom nothing is known. Only what the loop calls may call it, last: everything else relies on the transaction.
func (s *session) rest() {
	t := s.transaction
	switch {
	case t == nil:
		return
	case s.phase == ended:
		t.reset()
		t.msg.vars[sample.Session].Reset()
	case s.phase != reading || s.client.in.len() > 0 || !t.msg.vars[sample.Session].Empty():
		return
	}
	s.transaction = nil
	s.w.transactions.put(t)
}

// reset forgets the request. What follows it in the client's buffer stays.
func (s *session) reset() {
	if s.peer != (netip.AddrPort{}) {
		s.src = s.peer
	}
	s.sticky.releaseRequest()
	s.up.drop(s.w)
	s.down.drop(s.w)
	s.transaction.reset()
	s.idle = s.w.loop.Now()
	s.mark()
	s.turn++
}

// reset leaves nothing of the request but the client's variables and all storage.
func (t *transaction) reset() {
	t.be = nil
	t.req.Reset()
	t.resp.Reset()
	t.edits.Reset()
	t.up, t.down = stream{}, stream{}
	t.headLen, t.taken, t.respLen = 0, 0, 0
	t.stage, t.rule, t.login = 0, 0, credentials{}
	t.forgotten, t.responded, t.keep, t.reused, t.redispatch, t.logged, t.once = false, false, false, false, false, false, false
	t.pending, t.handler, t.service, t.refused = nil, nil, "", nil
	t.peer = netip.AddrPort{}
	t.avoid, t.retries, t.status = nil, 0, -1
	t.persist = persist{}
	t.preview, t.payload, t.coding = preview{}, payload{}, coding{}
	t.ruled.server, t.ruled.tunnel = 0, 0
	t.why = [2]byte{'-', '-'}
	t.priority, t.passed, t.awaited = pool.Priority{}, pool.Passed{}, nil
	t.clock = times{}
	t.msg.reset()
}
