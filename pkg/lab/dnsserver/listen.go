package dnsserver

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/miekg/dns"
)

// Listener serves a handler over UDP and TCP on one address.
type Listener struct {
	servers []*dns.Server
	serving sync.WaitGroup
}

// Listen opens both sockets on address and serves h on them until Close.
func Listen(address string, h dns.Handler) (*Listener, error) {
	packets, err := net.ListenPacket("udp4", address)
	if err != nil {
		return nil, fmt.Errorf("listen for dns: %w", err)
	}
	// With port 0 the TCP socket takes the port that UDP was given.
	stream, err := net.Listen("tcp4", packets.LocalAddr().String())
	if err != nil {
		_ = packets.Close()
		return nil, fmt.Errorf("listen for dns: %w", err)
	}
	l := &Listener{servers: []*dns.Server{
		{PacketConn: packets, Handler: h, UDPSize: dns.DefaultMsgSize},
		{Listener: stream, Handler: h},
	}}
	for _, s := range l.servers {
		started := make(chan error, 2)
		s.NotifyStartedFunc = func() { started <- nil }
		l.serving.Go(func() { started <- s.ActivateAndServe() })
		if err := <-started; err != nil {
			return nil, errors.Join(fmt.Errorf("serve dns: %w", err), packets.Close(), stream.Close())
		}
	}
	return l, nil
}

// Addr is the address of both sockets, as host:port.
func (l *Listener) Addr() string { return l.servers[0].PacketConn.LocalAddr().String() }

// Close stops serving.
func (l *Listener) Close() error {
	var errs []error
	for _, s := range l.servers {
		errs = append(errs, s.Shutdown())
	}
	l.serving.Wait()
	return errors.Join(errs...)
}
