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
	stream, packets, err := openBoth(address)
	if err != nil {
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

// openBoth opens the two sockets on one port. With port 0 the UDP socket takes the port that TCP was given;
// if somebody has it, another one is tried.
func openBoth(address string) (net.Listener, net.PacketConn, error) {
	const tries = 16
	for try := 1; ; try++ {
		stream, err := net.Listen("tcp4", address)
		if err != nil {
			return nil, nil, err
		}
		packets, err := net.ListenPacket("udp4", stream.Addr().String())
		if err == nil {
			return stream, packets, nil
		}
		err = errors.Join(err, stream.Close())
		if _, port, _ := net.SplitHostPort(address); port != "0" || try == tries {
			return nil, nil, err
		}
	}
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
