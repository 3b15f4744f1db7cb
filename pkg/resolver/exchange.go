package resolver

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// Query is one question to one nameserver.
type Query struct {
	Server netip.AddrPort
	TCP    bool
	Msg    *dns.Msg
	Size   int // the largest UDP answer that was announced, in bytes
	// Stray is told of each datagram that came back and is not the answer.
	Stray func(Stray)
}

// Stray is a kind of datagram that reached a query's socket without being its answer.
type Stray uint8

// The kinds.
const (
	StrayID      Stray = iota // another id: late, or forged
	StrayInvalid              // not a DNS message, or an answer to another question
	StrayTooBig               // larger than announced
)

// Exchange sends a query and returns the reply to it. It ends when ctx does, and then returns the
// context's error. The reply has the query's id and question.
type Exchange func(ctx context.Context, q Query) (*dns.Msg, error)

// maxStrays bounds the work that forged datagrams can make of one query.
const maxStrays = 64

// maxMessage is the largest DNS message (RFC 1035, section 4.2.2).
const maxMessage = 65535

// network is the Exchange of the real world. Each query has a socket of its own, connected to the
// server, so the kernel gives it a random port and drops what other hosts send (RFC 5452, section 9.2).
func network(ctx context.Context, q Query) (*dns.Msg, error) {
	proto := "udp"
	if q.TCP {
		proto = "tcp"
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, proto, q.Server.String())
	if err != nil {
		return nil, contextError(ctx, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	exchange := exchangeUDP
	if q.TCP {
		exchange = exchangeTCP
	}
	reply, err := exchange(conn, q)
	if err != nil {
		return nil, contextError(ctx, err)
	}
	return reply, nil
}

// contextError prefers the reason why the context ended to the I/O error that it caused.
func contextError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func exchangeUDP(conn net.Conn, q Query) (*dns.Msg, error) {
	packed, err := q.Msg.Pack()
	if err != nil {
		return nil, fmt.Errorf("pack query: %w", err)
	}
	if _, err := conn.Write(packed); err != nil {
		return nil, fmt.Errorf("send query: %w", err)
	}
	buf := make([]byte, q.Size+1) // one byte more shows an answer that is too big
	for range maxStrays {
		n, err := conn.Read(buf)
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		reply, stray, ok := accept(buf[:n], q)
		if ok {
			return reply, nil
		}
		q.Stray(stray)
	}
	return nil, fmt.Errorf("%w: %d datagrams in a row", errNotAnAnswer, maxStrays)
}

// accept decides whether a datagram is the answer to q.
func accept(datagram []byte, q Query) (*dns.Msg, Stray, bool) {
	if len(datagram) >= 2 && binary.BigEndian.Uint16(datagram) != q.Msg.Id {
		return nil, StrayID, false
	}
	if len(datagram) > q.Size {
		return nil, StrayTooBig, false
	}
	reply := new(dns.Msg)
	if reply.Unpack(datagram) != nil || !answers(q.Msg, reply) {
		return nil, StrayInvalid, false
	}
	return reply, 0, true
}

func exchangeTCP(conn net.Conn, q Query) (*dns.Msg, error) {
	packed, err := q.Msg.Pack()
	if err != nil {
		return nil, fmt.Errorf("pack query: %w", err)
	}
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(packed)), uint16(len(packed)))
	if _, err := conn.Write(append(framed, packed...)); err != nil {
		return nil, fmt.Errorf("send query over TCP: %w", err)
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, fmt.Errorf("read answer over TCP: %w", err)
	}
	body := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, fmt.Errorf("read answer over TCP: %w", err)
	}
	reply := new(dns.Msg)
	if err := reply.Unpack(body); err != nil {
		return nil, fmt.Errorf("%w: %w", errNotAnAnswer, err)
	}
	if !answers(q.Msg, reply) {
		return nil, errNotAnAnswer
	}
	return reply, nil
}
