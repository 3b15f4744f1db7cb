package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"waggle/pkg/lab/dnsserver"
)

// DNSAddr is where Docker's DNS server, and the lab's, listens in the balancer's namespace.
const DNSAddr = "127.0.0.11:53"

// DNS changes what the lab's DNS server says. Changes hold when a method returns.
type DNS struct {
	process *Process

	mu    sync.Mutex
	tasks map[string][]netip.Addr // by service, as AddTask and Stop keep them
}

type dnsConfig struct{ Stack string }

// dnsRequest is one change, or a question about the counters.
type dnsRequest struct {
	Name     string                 `json:",omitempty"`
	Addrs    []netip.Addr           `json:",omitempty"`
	Unknown  *dnsserver.Behaviour   `json:",omitempty"`
	Outage   []*dnsserver.Behaviour `json:",omitempty"` // one element, null to end it
	Counting bool                   `json:",omitempty"`
}

func startDNS(ctx context.Context, l *Lab) (*DNS, error) {
	p, err := l.Balancer.spawn(ctx, hello{Role: roleDNS, DNS: &dnsConfig{Stack: l.opts.Stack}}, nil)
	if err != nil {
		return nil, fmt.Errorf("start dns server: %w", err)
	}
	return &DNS{process: p, tasks: make(map[string][]netip.Addr)}, nil
}

// Set gives a name these addresses, which need not be tasks; none removes the record. AddTask and Stop
// change the record of their service and put it back to what the tasks are. Aliases: see dnsserver.Server.
func (d *DNS) Set(name string, addrs ...netip.Addr) error {
	return d.ask(dnsRequest{Name: name, Addrs: addrs}, nil)
}

// Remove takes the record of a task away, as Swarm does some time after a task has crashed.
func (d *DNS) Remove(t *Task) error { return d.change(t.service, t.ip, false) }

// Unknown chooses the answer for names without a record, a service without tasks among them. NXDOMAIN at first.
func (d *DNS) Unknown(b dnsserver.Behaviour) error {
	return d.ask(dnsRequest{Unknown: &b}, nil)
}

// Outage answers every query by b until Recover.
func (d *DNS) Outage(b dnsserver.Behaviour) error {
	return d.ask(dnsRequest{Outage: []*dnsserver.Behaviour{&b}}, nil)
}

// Recover ends an outage.
func (d *DNS) Recover() error {
	return d.ask(dnsRequest{Outage: []*dnsserver.Behaviour{nil}}, nil)
}

// Counts says how many queries there were.
func (d *DNS) Counts() (dnsserver.Counts, error) {
	var c dnsserver.Counts
	err := d.ask(dnsRequest{Counting: true}, &c)
	return c, err
}

// change adds or removes one address of a service.
func (d *DNS) change(service string, addr netip.Addr, present bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var addrs []netip.Addr
	for _, a := range d.tasks[service] {
		if a != addr {
			addrs = append(addrs, a)
		}
	}
	if present {
		addrs = append(addrs, addr)
	}
	d.tasks[service] = addrs
	return d.Set(service, addrs...)
}

// askPatience is for how long the server may not answer, which takes it less than a millisecond on a machine that does not stall.
const askPatience = 30 * time.Second

func (d *DNS) ask(request dnsRequest, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), askPatience)
	defer cancel()
	if err := d.process.control.roundTrip(ctx, request, result); err != nil {
		return fmt.Errorf("lab dns: %w", err)
	}
	return nil
}

// dnsActor is the server's side, in the balancer's namespace.
type dnsActor struct {
	server   *dnsserver.Server
	listener *dnsserver.Listener
}

func startDNSServer(c *dnsConfig) (server, error) {
	s := dnsserver.New(c.Stack)
	l, err := dnsserver.Listen(DNSAddr, s)
	if err != nil {
		return nil, err
	}
	return &dnsActor{server: s, listener: l}, nil
}

func (a *dnsActor) handle(raw json.RawMessage) (any, error) {
	var r dnsRequest
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	switch {
	case r.Counting:
		return a.server.Counts(), nil
	case r.Unknown != nil:
		return nil, a.server.SetUnknown(*r.Unknown)
	case len(r.Outage) == 1:
		return nil, a.server.SetOutage(r.Outage[0])
	}
	return nil, a.server.Set(r.Name, r.Addrs...)
}

func (a *dnsActor) shutdown() { _ = a.listener.Close() }
