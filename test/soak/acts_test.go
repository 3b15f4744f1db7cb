package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"

	"waggle/pkg/lab"
	"waggle/pkg/lab/dnsserver"
	"waggle/pkg/lab/wire"
)

// taskActs scale services, crash tasks and cut them off.
func taskActs() []act {
	var acts []act
	for _, service := range []string{"raw", "web"} {
		group := map[string]string{"raw": "tcp", "web": "http"}[service]
		acts = append(
			acts,
			act{name: "scale " + service + " up and down", blind: group, run: func(ctx context.Context, s *stage, dice *rand.Rand) error {
				return errors.Join(s.fill(ctx, service, tasks+1+dice.IntN(slots-tasks)), s.Scale(ctx, service, tasks))
			}},
			act{name: "kill a task of " + service, hurts: group, run: func(ctx context.Context, s *stage, dice *rand.Rand) error {
				task := s.anyTask(service, dice)
				task.Kill()
				breathe(ctx, time.Second)
				return errors.Join(task.Stop(ctx), s.fill(ctx, service, tasks))
			}},
			act{name: "cut a task of " + service + " off", hurts: group, run: func(ctx context.Context, s *stage, dice *rand.Rand) error {
				task := s.anyTask(service, dice)
				err := task.Unplug()
				breathe(ctx, 2*time.Second)
				return errors.Join(err, task.Plug())
			}},
		)
	}
	return acts
}

// fill starts tasks of a service until there are n.
func (s *stage) fill(ctx context.Context, service string, n int) error {
	kind := lab.HTTP11
	if service == "raw" {
		kind = lab.TCP
	}
	for range n - len(s.Tasks(service)) {
		if _, err := s.AddTask(ctx, lab.TaskOptions{Service: service, Kind: kind}); err != nil {
			return err
		}
	}
	return nil
}

func (s *stage) anyTask(service string, dice *rand.Rand) *lab.Task {
	list := s.Tasks(service)
	return list[dice.IntN(len(list))]
}

const dnsFails = "DNS: "

// dnsActs have the DNS server fail for some seconds in each of its ways.
func dnsActs() []act {
	kinds := []dnsserver.Kind{
		dnsserver.NXDomain, dnsserver.ServFail, dnsserver.Refused, dnsserver.Timeout, dnsserver.Wildcard, dnsserver.Empty,
	}
	var acts []act
	for _, kind := range kinds {
		acts = append(acts, act{name: dnsFails + string(kind), run: func(ctx context.Context, s *stage, _ *rand.Rand) error {
			err := s.DNS.Outage(dnsserver.Behaviour{Kind: kind, Addr: netip.MustParseAddr("203.0.113.1")})
			breathe(ctx, 3*time.Second)
			return errors.Join(err, s.DNS.Recover())
		}})
	}
	return acts
}

// badWire is what a leg does while it is bad: connections bear it, so that nobody is hurt.
var badWire = wire.Faults{Loss: 0.01, Duplicate: 0.01, Delay: 500 * time.Microsecond, Jitter: time.Millisecond}

// interfaceActs have frames lost, doubled, delayed and reordered, and take links down. A leg that loses its carrier keeps its routes;
// when it goes down itself, they go.
func interfaceActs() []act {
	return []act{
		{name: "the overlay leg loses, doubles and reorders", run: bad(func(s *stage) *wire.Wire { return s.OverlayWire })},
		{name: "the bridge leg loses, doubles and reorders", run: bad(func(s *stage) *wire.Wire { return s.GatewayWire })},
		{name: "the overlay leg loses its carrier", run: unplugged(func(s *stage) *wire.Wire { return s.OverlayWire })},
		{name: "the bridge leg loses its carrier", run: unplugged(func(s *stage) *wire.Wire { return s.GatewayWire })},
		{name: "the overlay leg goes down and up", hurts: "all", run: func(ctx context.Context, s *stage, _ *rand.Rand) error {
			return s.flap(ctx, s.Balancer.Host, "eth0")
		}},
	}
}

// bad has a wire be bad for some seconds.
func bad(which func(*stage) *wire.Wire) func(context.Context, *stage, *rand.Rand) error {
	return func(ctx context.Context, s *stage, _ *rand.Rand) error {
		w := which(s)
		w.Set(badWire)
		breathe(ctx, 4*time.Second)
		w.Set(wire.Faults{})
		return nil
	}
}

// unplugged pulls a wire out and plugs it in again.
func unplugged(which func(*stage) *wire.Wire) func(context.Context, *stage, *rand.Rand) error {
	return func(ctx context.Context, s *stage, _ *rand.Rand) error {
		w := which(s)
		err := w.Carrier(false)
		breathe(ctx, 300*time.Millisecond)
		err = errors.Join(err, w.Carrier(true))
		breathe(ctx, 3*time.Second)
		return err
	}
}

func (s *stage) flap(ctx context.Context, h *lab.Host, link string) error {
	set := func(change func(netlink.Link) error) error {
		return h.Do(func() error {
			l, err := netlink.LinkByName(link)
			if err != nil {
				return err
			}
			return change(l)
		})
	}
	err := set(netlink.LinkSetDown)
	breathe(ctx, 300*time.Millisecond)
	err = errors.Join(err, set(netlink.LinkSetUp))
	breathe(ctx, 3*time.Second)
	return err
}

// operatorActs reload configurations and use the Runtime API.
func operatorActs() []act {
	return []act{
		{name: "reload", run: reload}, {name: "reload again", run: reload},
		{name: "reload a broken file", run: reloadBroken},
		{name: "drain a server", run: commands("set server raw/raw-$ state drain", "set server raw/raw-$ state ready")},
		{name: "maintenance of a server", run: commands("disable server web/web-$", "enable server web/web-$")},
		{name: "other weights", run: commands("set server raw/raw-$ weight 3", "set server raw/raw-$ weight 1")},
		{name: "end the sessions of a server", hurts: "tcp", run: commands("shutdown sessions server raw/raw-$")},
	}
}

func reload(ctx context.Context, s *stage, _ *rand.Rand) error {
	s.rounds++
	return s.reread(ctx, s.configuration(s.rounds), 1)
}

func reloadBroken(ctx context.Context, s *stage, _ *rand.Rand) error {
	broken := s.reread(ctx, s.configuration(s.rounds)+"\nbackend web\n    mode nonsense\n", 0)
	return errors.Join(broken, s.reread(ctx, s.configuration(s.rounds), 1))
}

// reread has waggle read a configuration and waits until it says whether that was successful: 1, or 0.
func (s *stage) reread(ctx context.Context, text string, successful float64) error {
	const at, ok = "waggle_config_last_reload_timestamp_seconds", "waggle_config_last_reload_successful"
	before, err := s.metrics(ctx)
	if err != nil {
		return err
	}
	s.rewrite(text)
	if err := s.process.Signal(syscall.SIGUSR2); err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); breathe(ctx, 50*time.Millisecond) {
		now, err := s.metrics(ctx)
		if err != nil {
			return err
		}
		if now[at] != before[at] {
			if now[ok] != successful {
				return fmt.Errorf("%s is %v", ok, now[ok])
			}
			return nil
		}
	}
	return errors.New("the configuration was not read")
}

// commands gives a command of the Runtime API about a server, whose number is $, and after a second the next one.
func commands(list ...string) func(context.Context, *stage, *rand.Rand) error {
	return func(ctx context.Context, s *stage, dice *rand.Rand) error {
		number := strconv.Itoa(1 + dice.IntN(tasks))
		var errs []error
		for _, command := range list {
			errs = append(errs, s.runtime(ctx, strings.ReplaceAll(command, "$", number)))
			breathe(ctx, time.Second)
		}
		return errors.Join(errs...)
	}
}

// crowd is how many bad clients come at a time.
const crowd = 200

// clientActs are clients that nobody wants. Each comes as a crowd, stays for some seconds and leaves by a reset.
func clientActs() []act {
	return []act{
		{name: "clients that do not read", uses: "http", run: crowds(httpPort, "GET /bytes/3000000 HTTP/1.1\r\nHost: soak\r\n\r\n")},
		{name: "clients that send half a request", uses: "http", run: crowds(httpPort, "GET / HTTP/1.1\r\nHo")},
		{name: "clients that send half a body", uses: "http", run: crowds(httpPort, "POST /echo HTTP/1.1\r\nHost: soak\r\nContent-Length: 100000\r\n\r\nhalf")},
		{name: "clients that send anything", uses: "http", run: crowds(httpPort, "\x16\x03\x01\x00\xa5\x00\r\n\r\nGET / HTTP/9.9\r\n\x00\r\n\r\n")},
		{name: "clients that send no TLS", uses: "http", run: crowds(httpsPort, "GET / HTTP/1.1\r\nHost: soak\r\n\r\n")},
		{name: "clients that say nothing", uses: "http", run: crowds(httpsPort, "")},
		{name: "clients that do not read from the kernel path", uses: "tcp", run: crowds(tcpPort, "bytes 3000000\n")},
		{name: "clients that do not read from the relay", uses: "tcp", run: crowds(relayPort, "bytes 3000000\n")},
		{name: "clients that leave at once", uses: "all", run: func(ctx context.Context, s *stage, _ *rand.Rand) error {
			var errs []error
			for _, port := range []int{httpPort, httpsPort, tcpPort, relayPort} {
				for range crowd / 4 {
					conn, err := s.rude(ctx, port)
					if err != nil {
						errs = append(errs, err)
						continue
					}
					conn.Close()
				}
			}
			return errors.Join(errs...)
		}},
	}
}

func crowds(port int, say string) func(context.Context, *stage, *rand.Rand) error {
	return func(ctx context.Context, s *stage, _ *rand.Rand) error {
		var mu sync.Mutex
		var errs []error
		var conns []net.Conn
		var running sync.WaitGroup
		for range 4 {
			running.Go(func() {
				for range crowd / 4 {
					conn, err := s.rude(ctx, port)
					if err == nil {
						_, _ = conn.Write([]byte(say)) // it may be gone already, and that is its right
					}
					mu.Lock()
					if err != nil {
						errs = append(errs, err)
					} else {
						conns = append(conns, conn)
					}
					mu.Unlock()
				}
			})
		}
		running.Wait()
		breathe(ctx, 2*time.Second)
		for _, c := range conns {
			c.Close()
		}
		return errors.Join(errs...)
	}
}

// rude connects with a small receive buffer; closing resets the connection.
func (s *stage) rude(ctx context.Context, port int) (net.Conn, error) {
	dialing, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := s.Client.DialContext(dialing, "tcp4", s.Balancer.Endpoint(port))
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	return conn, errors.Join(tcp.SetReadBuffer(4<<10), tcp.SetLinger(0), tcp.SetDeadline(time.Now().Add(patience)))
}
