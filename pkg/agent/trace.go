package agent

import (
	"fmt"
	"net/netip"

	"waggle/pkg/datapath"
	"waggle/pkg/runtimeapi"
)

// Trace implements [runtimeapi.Tracer].
func (a *Agent) Trace(client netip.AddrPort, front string) (runtimeapi.Trace, error) {
	k := a.kernel
	if k.path() == nil {
		return runtimeapi.Trace{}, runtimeapi.ErrNoKernelPath
	}
	to, err := k.front(client, front)
	if err != nil {
		return runtimeapi.Trace{}, err
	}
	t, err := k.path().Trace(client, to)
	if err != nil {
		return runtimeapi.Trace{}, err
	}
	return k.explain(to, t), nil
}

// front finds the address that a frontend's name, or an address, stands for.
func (k *kernel) front(client netip.AddrPort, word string) (netip.AddrPort, error) {
	if to, err := netip.ParseAddrPort(word); err == nil {
		return to, nil
	}
	for _, s := range k.plan().services {
		if s.frontend.Name != word {
			continue
		}
		fronts, err := k.path().Fronts(s.id)
		if err != nil {
			return netip.AddrPort{}, err
		}
		for _, to := range fronts {
			if to.Addr().Is4() == client.Addr().Unmap().Is4() {
				return to, nil
			}
		}
		return netip.AddrPort{}, fmt.Errorf("frontend %s has no address for clients of the family of %s", word, client.Addr())
	}
	if f := k.plan().pool.Frontend(word); f != nil {
		return netip.AddrPort{}, fmt.Errorf("frontend %s is not the kernel's: %s", word, f.Path().Reason)
	}
	return netip.AddrPort{}, fmt.Errorf("there is no frontend %q; an address needs a port, as 192.0.2.1:80", word)
}

// explain puts words to what the kernel path says.
func (k *kernel) explain(to netip.AddrPort, t datapath.Trace) runtimeapi.Trace {
	out := runtimeapi.Trace{Front: to}
	if s := k.plan().service(t.Service); s != nil {
		out.Frontend = s.frontend.Name
	}
	if s := k.servers.get(t.Server); s != nil {
		out.Server = fmt.Sprintf("%s/%s (%s)", s.Backend.Name, s.Name, s.View().Addr)
	}
	switch t.Outcome {
	case datapath.OutcomeTaken:
		out.Verdict, out.Why = "kernel", "The kernel path takes the connection and sends it to this server, if no other comes first."
	case datapath.OutcomeFlow:
		out.Verdict, out.Why = "kernel", "The kernel path carries this connection already."
	case datapath.OutcomeLeft:
		out.Verdict, out.Why = "userspace", t.Reason.Name+": "+t.Reason.Help
	default:
		out.Verdict, out.Why = "neither", "No frontend of the kernel path has this address and port: the packet goes to the network stack."
	}
	return out
}
