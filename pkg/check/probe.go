package check

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"

	"waggle/pkg/config"
	"waggle/pkg/pool"
)

// maxAnswer is how much of an answer is kept: HAProxy's buffer size. An answer that is longer is judged by its beginning.
const maxAnswer = 16384

// probe is one health check while it runs.
type probe struct {
	Spec
	ctx    context.Context
	dial   Dial
	target netip.AddrPort
	start  time.Time

	conn net.Conn
	in   []byte // what came since the last send or connect
	end  error  // why no more will come; nil while more may
	pass pool.CheckResult
}

// probe runs one check to its end.
func (s Spec) probe(ctx context.Context, dial Dial, target netip.AddrPort, start time.Time) pool.CheckResult {
	p := &probe{Spec: s, ctx: ctx, dial: dial, target: target, start: start}
	defer p.hangUp(false)
	first := &config.CheckConnect{}
	script := script(s.Check)
	if i := firstAction(script); i >= 0 && script[i].connect != nil {
		first = nil
	}
	if first != nil {
		if err := p.connect(first, true); err != nil {
			return p.explain(connectFailure(err), nil)
		}
	}
	for i := range script {
		if r, ok := p.step(&script[i], i+1 == len(script) || script[i+1].expect == nil); !ok {
			return r
		}
	}
	return p.pass
}

// firstAction is the first step that is not only a comment.
func firstAction(script []step) int {
	for i := range script {
		if st := &script[i]; st.connect != nil || st.send != nil || st.expect != nil {
			return i
		}
	}
	return -1
}

// step does one step. forget says that what was received means nothing to the next one.
func (p *probe) step(st *step, forget bool) (failure pool.CheckResult, ok bool) {
	switch {
	case st.connect != nil:
		if err := p.connect(st.connect, false); err != nil {
			return p.explain(connectFailure(err), st), false
		}
	case st.send != nil:
		if _, err := p.conn.Write(st.send(p)); err != nil {
			return p.explain(broken(err, pool.CheckL7Tout), st), false
		}
		p.pass = pool.CheckResult{Status: pool.CheckL7OK, Info: "(tcp-check)"}
	case st.expect != nil:
		r, ok := p.await(st)
		if !ok {
			return r, false
		}
		p.pass = r
		if forget {
			p.in = nil
		}
	}
	return pool.CheckResult{}, true
}

// connect makes the next connection; the one before ends.
func (p *probe) connect(how *config.CheckConnect, first bool) error {
	p.hangUp(how.Linger)
	now := time.Now()
	if first {
		now = p.start
	}
	target := p.target
	if how.Port != 0 {
		target = netip.AddrPortFrom(target.Addr(), uint16(how.Port))
	}
	limit := p.inter()
	if p.CheckTimeout > 0 && p.ConnectTimeout > 0 {
		limit = min(limit, p.ConnectTimeout)
	}
	connecting, cancel := context.WithDeadline(p.ctx, now.Add(limit))
	defer cancel()
	conn, err := p.dial(connecting, target)
	if err != nil {
		return err
	}
	p.conn = conn
	deadline := p.start.Add(p.inter())
	if p.CheckTimeout > 0 {
		deadline = time.Now().Add(p.CheckTimeout)
	}
	conn.SetDeadline(deadline)
	context.AfterFunc(p.ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	p.pass = pool.CheckResult{Status: pool.CheckL4OK}
	if err := p.announce(conn, how.SendProxy); err != nil || p.TLS == nil {
		return err
	}
	return p.secure()
}

func (p *probe) hangUp(linger bool) {
	switch {
	case p.conn == nil:
	case linger:
		p.conn.Close()
	default:
		reset(p.conn)
	}
	p.conn, p.in, p.end = nil, nil, nil
}

// await reads until an expectation can be judged.
func (p *probe) await(st *step) (pool.CheckResult, bool) {
	if len(p.in) == 0 {
		acknowledge(p.conn)
	}
	buf := make([]byte, 4096)
	for {
		final := p.end != nil || len(p.in) >= maxAnswer
		if r, sure := p.judge(st, final); sure {
			return r, r.Status.Passed()
		}
		if isTimeout(p.end) {
			return p.explain(pool.CheckResult{Status: st.expect.onTimeout}, st), false
		}
		if p.end != nil && !errors.Is(p.end, io.EOF) {
			return p.explain(broken(p.end, st.expect.onTimeout), st), false
		}
		n, err := p.conn.Read(buf[:min(len(buf), maxAnswer-len(p.in))])
		p.in, p.end = append(p.in, buf[:n]...), err
	}
}

// judge says what the answer so far comes to, if that is sure. After the last byte it always is, except after an error
// that came before any.
func (p *probe) judge(st *step, final bool) (pool.CheckResult, bool) {
	e := st.expect
	switch {
	case isTimeout(p.end), final && len(p.in) == 0 && !errors.Is(p.end, io.EOF):
		return pool.CheckResult{}, false
	case final && len(p.in) == 0 && e.onEmpty != pool.CheckUnknown:
		info := ""
		if st.number > 0 {
			info = "TCPCHK got an empty response at step " + strconv.Itoa(st.number) + st.remark()
		}
		return pool.CheckResult{Status: e.onEmpty, Info: info}, true
	case !final && (len(p.in) == 0 || len(p.in) < e.minRecv):
		return pool.CheckResult{}, false
	}
	return e.judge(p, p.in, final)
}

// explain adds to a failure where in a script it happened; in HAProxy only those of tcp-check tell.
func (p *probe) explain(r pool.CheckResult, st *step) pool.CheckResult {
	if p.Check == nil || p.Check.Protocol != config.CheckTCP {
		return r
	}
	if st == nil {
		r.Info += " at initial connection step of tcp-check"
		return r
	}
	r.Info += " at step " + strconv.Itoa(st.number) + " of tcp-check"
	if st.what != "" {
		r.Info += " (" + st.what + ")"
	}
	if st.comment != "" {
		r.Info += " comment: '" + st.comment + "'"
	}
	return r
}

// broken is a connection that failed after it was made.
func broken(err error, onTimeout pool.CheckStatus) pool.CheckResult {
	if isTimeout(err) || errors.Is(err, context.Canceled) {
		return pool.CheckResult{Status: onTimeout}
	}
	return pool.CheckResult{Status: pool.CheckSockErr, Info: info(err)}
}

// reset closes a connection with a RST, as HAProxy does for checks: it leaves no TIME_WAIT behind.
func reset(conn net.Conn) {
	if c, ok := conn.(*tls.Conn); ok {
		conn = c.NetConn() // without the farewell of TLS, too
	}
	if c, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = c.SetLinger(0) // at worst the close is an ordinary one
	}
	conn.Close()
}
