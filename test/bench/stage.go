package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"waggle/pkg/lab"
)

// stage is a fresh topology with three servers, for one contender in one round.
type stage struct {
	lab     *lab.Lab
	tasks   []*lab.Task
	process *lab.Process // the contender's; nil if the kernel is all of it
	targets []netip.AddrPort
	setting setting
	kernel  *kernelPath // nil if the contender has none
	links   []link.Link // of programs that the stage itself has attached
}

// setting is what all stages of a run have in common.
type setting struct {
	program    lab.Command // waggle
	files      string      // directory of the bodies
	caddy      string      // its program; empty where it takes no part
	congestion string      // TCP's congestion control; empty for the machine's default
	maxconn    int         // connections at once that a contender must bear
}

const (
	servers = 3
	port    = 8000 // of the servers and of what is in front of them

	securePort = 8443 // of what ends TLS
)

// secure is where the same contender speaks TLS.
func secure(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), securePort) }

// newStage builds the topology and starts nginx in every task. The caller closes the stage.
func newStage(ctx context.Context, s setting) (st *stage, err error) {
	st = &stage{setting: s}
	if st.lab, err = lab.New(ctx, lab.Options{}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			st.lab.Close()
		}
	}()
	if err := st.lab.Client.Do(clientPorts); err != nil {
		return nil, err
	}
	web := &lab.Command{
		Argv:  []string{nginx.name, "-e", "stderr", "-c", lab.FilesDir + "/nginx.conf"},
		Files: map[string][]byte{"nginx.conf": []byte(nginxServerConfig(s.files))},
	}
	for range servers {
		task, err := st.lab.AddTask(ctx, lab.TaskOptions{Command: web, Port: port})
		if err != nil {
			return nil, err
		}
		st.tasks = append(st.tasks, task)
	}
	st.targets = []netip.AddrPort{netip.AddrPortFrom(st.lab.Balancer.Addr(), port)}
	return st, st.setCongestion()
}

func (st *stage) close() {
	for _, l := range st.links {
		_ = l.Close() // its namespace ends now
	}
	st.lab.Close()
}

// clientPorts gives the client all the ports there are, and lets it use again those in TIME_WAIT where TCP's
// timestamps make that safe, so that no contender is limited by the client.
func clientPorts() error {
	return errors.Join(
		os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("1024 65535"), 0),
		os.WriteFile("/proc/sys/net/ipv4/tcp_tw_reuse", []byte("1"), 0))
}

// setCongestion chooses TCP's congestion control on both sides of every connection.
func (st *stage) setCongestion() error {
	if st.setting.congestion == "" {
		return nil
	}
	hosts := []*lab.Host{st.lab.Client, st.lab.Balancer.Host}
	for _, task := range st.tasks {
		hosts = append(hosts, task.Host)
	}
	for _, h := range hosts {
		err := h.Do(func() error { return os.WriteFile(congestionFile, []byte(st.setting.congestion), 0) })
		if err != nil {
			return fmt.Errorf("choose congestion control: %w", err)
		}
	}
	return nil
}

const congestionFile = "/proc/sys/net/ipv4/tcp_congestion_control"

// endpoints are the servers' addresses.
func (st *stage) endpoints() []netip.AddrPort {
	var list []netip.AddrPort
	for _, task := range st.tasks {
		list = append(list, task.Endpoint())
	}
	return list
}

// forward makes the balancer's namespace a router.
func (st *stage) forward() error {
	return st.lab.Balancer.Do(func() error {
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
	})
}

// routeToTasks lets the client and the tasks reach each other through the balancer's namespace.
func (st *stage) routeToTasks() error {
	first := st.tasks[0].Addr()
	overlay, err := first.Prefix(24)
	if err != nil {
		return err
	}
	err = st.lab.Node.Do(func() error { return addRoute(overlay, st.lab.Balancer.Addr()) })
	for _, task := range st.tasks {
		err = errors.Join(err, task.Do(func() error {
			return addRoute(netip.PrefixFrom(netip.IPv4Unspecified(), 0), st.lab.Balancer.OverlayAddr())
		}))
	}
	return err
}

func addRoute(to netip.Prefix, via netip.Addr) error {
	dst, err := netlink.ParseIPNet(to.String())
	if err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{Dst: dst, Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("add route to %s: %w", to, err)
	}
	return nil
}

// finish runs a program in the balancer's namespace to its end.
func (st *stage) finish(ctx context.Context, c lab.Command) error {
	p, err := st.lab.Balancer.Start(ctx, c)
	if err != nil {
		return err
	}
	return await(ctx, p, c.Argv[0])
}

// await waits for the end of a process, which it kills when ctx ends.
func await(ctx context.Context, p *lab.Process, name string) error {
	select {
	case <-p.Done():
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s: %w", name, ctx.Err())
	}
	if err := p.Err(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, p.Output())
	}
	return nil
}

func (st *stage) haproxy(ctx context.Context, config string) error {
	return st.run(ctx, lab.Command{
		Argv:  []string{haproxy.name, "-db", "-f", lab.FilesDir + "/haproxy.cfg"},
		Files: map[string][]byte{"haproxy.cfg": []byte(config)},
	})
}

func (st *stage) nginx(ctx context.Context, config string) error {
	return st.run(ctx, lab.Command{
		Argv:  []string{nginx.name, "-e", "stderr", "-c", lab.FilesDir + "/nginx.conf"},
		Files: map[string][]byte{"nginx.conf": []byte(config)},
	})
}

func (st *stage) waggle(ctx context.Context, config string, flags ...string) error {
	c := lab.Command{Env: st.setting.program.Env}
	c.Argv = append(c.Argv, st.setting.program.Argv...)
	c.Argv = append(c.Argv, "run", "-f", lab.FilesDir+"/haproxy.cfg", "-f", lab.FilesDir+"/observer.cfg")
	c.Argv = append(c.Argv, flags...)
	c.Files = map[string][]byte{"haproxy.cfg": []byte(config), "observer.cfg": []byte(observer)}
	return st.run(ctx, c)
}

// run starts the contender's program.
func (st *stage) run(ctx context.Context, c lab.Command) (err error) {
	st.process, err = st.lab.Balancer.Start(ctx, c)
	return err
}

// ready makes requests until every server has answered through the contender, so that addresses of neighbours
// are known, connections to servers have been made, and a contender that does not balance is found out.
func (st *stage) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answered := map[string]bool{}
	for i := 0; len(answered) < servers; i++ {
		name, err := st.get(ctx, st.targets[i%len(st.targets)])
		if err == nil {
			answered[name] = true
			continue
		}
		if st.process != nil {
			select {
			case <-st.process.Done():
				return fmt.Errorf("ended: %w: %s", errors.Join(st.process.Err()), st.process.Output())
			default:
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d servers answered: %w", len(answered), servers, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}
