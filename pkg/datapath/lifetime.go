package datapath

import "time"

const (
	// holdReset is how long a flow that ended by RST translates stray packets.
	holdReset = 2 * time.Second
	// holdClientFirst is the same where the client closed first: the task is left without TIME_WAIT, and its last ACK
	// may have to be repeated.
	holdClientFirst = 5 * time.Second
	// holdServerFirst keeps the source port while the task is in TIME_WAIT: a SYN of another client from the same port would
	// meet it there and could stall for a second. In Linux that lasts 60 s (TCP_TIMEWAIT_LEN) and what the kernel's timer wheel
	// rounds them up by: with 100 Hz 512 ticks, 5.1 s; with 250 Hz 2 s, as TestShortConnectionsNeverStall has met when it took
	// longer than a minute.
	holdServerFirst = 66 * time.Second
	// holdTombstone is how long an abandoned server may still answer: Linux repeats a SYN-ACK for 31 s.
	holdTombstone = 32 * time.Second
)

// halfOpenAwaited is how long a flow stays half-open since the client's last SYN while connections wait for a place in
// userspace, where clients have proved to be there. A client that is there acknowledges the server's answer within a
// round trip, or sends its SYN again, and that one waits with the others.
const halfOpenAwaited = 2 * time.Second

const (
	tcpFin = 0x01
	tcpSyn = 0x02
	tcpRst = 0x04
	tcpAck = 0x10
)

// Values of enum wg_dir.
const (
	dirForward = 0
	dirReverse = 1

	dirTombstone = 2
)

// lifetime is how long a flow may be without activity before it is forgotten.
func lifetime(fwd, rev lbWgFlow, t Timeouts) time.Duration {
	bothFin := fwd.TcpFlags&rev.TcpFlags&tcpFin != 0
	switch {
	case fwd.State == lbWgStateWG_HALF:
		return max(t.Connect, HalfOpenMin)
	case (fwd.TcpFlags|rev.TcpFlags)&tcpRst != 0:
		return holdReset
	case fwd.State == lbWgStateWG_CLOSED || bothFin:
		return holdClosed(fwd)
	case fwd.TcpFlags&tcpFin != 0 && t.ClientFin > 0:
		return t.ClientFin
	case rev.TcpFlags&tcpFin != 0 && t.ServerFin > 0:
		return t.ServerFin
	case t.Tunnel > 0:
		return t.Tunnel
	case t.Client > 0 && t.Server > 0:
		return min(t.Client, t.Server)
	case t.Client > 0 || t.Server > 0:
		return max(t.Client, t.Server)
	}
	return EstablishedDefault
}

// awaitsAnswer tells whether a client may be to be given up, if its server has not answered.
func awaitsAnswer(fwd lbWgFlow, t Timeouts, now uint64) bool {
	return fwd.State == lbWgStateWG_HALF && t.Connect > 0 && fwd.Refused == 0 && idle(now, fwd.Created) >= t.Connect
}

// givenUp tells whether a client has waited for as long as HAProxy has it wait for servers that do not answer: for `timeout connect` at each
// attempt. Here an attempt begins with a SYN of the client, so there may be fewer of them, and the last one may begin later; it has
// its time all the same. A refusal is no silence: the client's next SYN begins another attempt.
func givenUp(fwd, rev lbWgFlow, t Timeouts, now uint64) bool {
	if !awaitsAnswer(fwd, t, now) || rev.TcpFlags&tcpSyn != 0 || idle(now, rev.Created) < t.Connect {
		return false
	}
	return fwd.Retries == 0 || int64(idle(now, fwd.Created)/t.Connect) > int64(t.retries)
}

// holdClosed goes by who closed first. It is not cut short when ports run out: what finds none goes through userspace at
// once, which is better than a second's wait in the kernel path.
func holdClosed(fwd lbWgFlow) time.Duration {
	if fwd.Closer == 1+dirForward {
		return holdClientFirst
	}
	return holdServerFirst
}

// shortestLife is a lower bound of lifetime for a flow whose reverse entry is not at hand.
func shortestLife(fwd lbWgFlow, t Timeouts) time.Duration {
	switch fwd.State {
	case lbWgStateWG_HALF:
		return max(t.Connect, HalfOpenMin)
	case lbWgStateWG_CLOSED: // a RST of either side is noted in the forward entry
		if fwd.TcpFlags&tcpRst != 0 {
			return holdReset
		}
		return holdClosed(fwd)
	}
	return shortestEstablished(t)
}

// shortestEstablished is that of an established flow. A RST or second FIN in the reverse entry has closed the forward one. So the
// reverse entry, a system call away, need not be looked at before one of the timeouts has passed.
func shortestEstablished(t Timeouts) time.Duration {
	shortest := EstablishedDefault
	for _, d := range []time.Duration{t.ClientFin, t.ServerFin, t.Tunnel, t.Client, t.Server} {
		if d > 0 {
			shortest = min(shortest, d)
		}
	}
	return shortest
}
