package datapath

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Outcome is what the kernel path would do with a SYN.
type Outcome uint32

// The outcomes, values of enum wg_outcome.
const (
	// OutcomeNotOurs: no service has this address and port; the packet goes to the stack.
	OutcomeNotOurs Outcome = iota
	// OutcomeFlow: the connection is in the table already.
	OutcomeFlow
	// OutcomeTaken: the connection would become a flow.
	OutcomeTaken
	// OutcomeLeft: the packet goes to the listening socket, for Trace.Reason.
	OutcomeLeft
)

// Words of the context's cb that a dry run answers in, values of enum wg_dry.
const (
	dryReason = iota
	dryOutcome
	dryService
	dryServer
)

// Trace is what the kernel path would do with a SYN now.
type Trace struct {
	Outcome Outcome
	// Service is 0 where the outcome is OutcomeNotOurs. Server is the one that was, or would be, chosen; 0 if it did not
	// come to that.
	Service, Server uint32
	// Reason is set where the outcome is OutcomeLeft, and where a packet cannot be read.
	Reason Reason
}

// Trace asks the program itself: a second copy of it, which shares its maps but changes nothing in them, runs on a SYN from
// client to front. Its answer holds for this moment: the next connection may be chosen another server.
func (dp *Datapath) Trace(client, front netip.AddrPort) (Trace, error) {
	if client.Addr().Unmap().Is4() != front.Addr().Unmap().Is4() {
		return Trace{}, fmt.Errorf("%s and %s are of different address families", client, front)
	}
	dp.inUse.RLock()
	defer dp.inUse.RUnlock()
	if dp.isClosed() {
		return Trace{}, errClosed
	}
	programs, err := dp.obj.loadAgain(dp.opts, func(spec *ebpf.CollectionSpec) error {
		return spec.Variables[lbVarWgDryRun].Set(uint32(1))
	})
	if err != nil {
		return Trace{}, err
	}
	var t Trace
	err = dp.ns.do(func() (err error) { t, err = runDry(programs.WgIngress, client, front); return err })
	return t, errors.Join(err, programs.Close())
}

// runDry must run inside the namespace, whose sockets the program asks for.
func runDry(prog *ebpf.Program, client, front netip.AddrPort) (Trace, error) {
	const loopback = 1 // in every namespace; its MAC is that of an empty frame
	in := skbContext{IngressIfindex: loopback, Ifindex: loopback}
	var out struct {
		skbContext
		_ [256 - unsafe.Sizeof(skbContext{})]byte // the kernel wants room for a whole struct __sk_buff
	}
	frame := synFrame(client, front)
	_, err := prog.Run(&ebpf.RunOptions{Data: frame, Context: in, ContextOut: &out})
	if err != nil {
		return Trace{}, fmt.Errorf("run the program on a SYN: %w", err)
	}
	t := Trace{Outcome: Outcome(out.Cb[dryOutcome]), Service: out.Cb[dryService], Server: out.Cb[dryServer]}
	if reason := out.Cb[dryReason]; reason > 0 && reason < reasonCount {
		t.Reason = reasonTable[reason]
	}
	return t, nil
}

// synFrame is an Ethernet frame with a SYN.
func synFrame(client, front netip.AddrPort) []byte {
	client = netip.AddrPortFrom(client.Addr().Unmap(), client.Port())
	front = netip.AddrPortFrom(front.Addr().Unmap(), front.Port())
	packet := tcpPacket(client, front, tcpSyn, 1, 0)
	frame := make([]byte, 14, 14+len(packet))
	protocol := uint16(unix.ETH_P_IPV6)
	if front.Addr().Is4() {
		protocol = unix.ETH_P_IP
	}
	binary.BigEndian.PutUint16(frame[12:], protocol)
	return append(frame, packet...)
}

// Fronts are the addresses and ports of a service, wildcards resolved.
func (dp *Datapath) Fronts(service uint32) ([]netip.AddrPort, error) {
	dp.inUse.RLock()
	defer dp.inUse.RUnlock()
	if dp.isClosed() {
		return nil, errClosed
	}
	services, err := readMap[lbWgServiceKey, lbWgService](dp.obj.WgServices)
	if err != nil {
		return nil, err
	}
	var fronts []netip.AddrPort
	for key, s := range services {
		if s.Id == service {
			fronts = append(fronts, netip.AddrPortFrom(netip.AddrFrom16(key.Addr).Unmap(), key.Port))
		}
	}
	return fronts, nil
}
