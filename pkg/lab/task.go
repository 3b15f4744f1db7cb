package lab

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/vishvananda/netlink"
)

// Kind is what a task runs.
type Kind string

const (
	// HTTP11 is webserver's HTTP/1.1 with keep-alive.
	HTTP11 Kind = "http/1.1"
	// HTTP10 is webserver's HTTP/1.0: bodies end at close.
	HTTP10 Kind = "http/1.0"
	// SimpleWeb is the seed's simple_web.py, on port 8000 only. It needs python3 on PATH, and as in a
	// container it ignores SIGTERM.
	SimpleWeb Kind = "simple_web.py"
	// TCP is tcpserver's command protocol: the client speaks first.
	TCP Kind = "tcp"
	// TCPGreet is tcpserver's greeting: the server speaks first, with its hostname, and then echoes.
	TCPGreet Kind = "tcp-greet"
)

// TaskPort is where tasks listen unless TaskOptions.Port says otherwise.
const TaskPort = 8000

// SimpleWebSource is the seed's simple_web.py.
//
//go:embed embed/simple_web.py
var simpleWebSource []byte

// TaskOptions say what AddTask starts. The zero value takes what the lab's Options say.
type TaskOptions struct {
	Service string
	Kind    Kind
	// Command, if set, is a program that the task runs instead of what Kind says. It must listen on Port.
	Command *Command
	// Port is where the task listens. Default TaskPort.
	Port int
	// Addr is the task's address on the overlay, in 10.0.1.3 to 10.0.1.254. Default: the next one in turn that
	// is free, so that an address is not reused soon.
	Addr netip.Addr
	// Hidden keeps the task out of DNS until [Task.Publish]: a task whose health check has not passed.
	Hidden bool
}

// Task is one task of a service: a host on the overlay with a server in it.
type Task struct {
	*Host
	lab     *Lab
	service string
	slot    int
	ip      netip.Addr
	kind    Kind
	command *Command // instead of what kind says, or nil
	port    int
	server  *Process
	started bool // guarded by lab.mu; the task is not listed before
}

// Kind is what the task runs, unless its TaskOptions had a Command.
func (t *Task) Kind() Kind { return t.kind }

// Endpoint is where the task listens, on the overlay.
func (t *Task) Endpoint() netip.AddrPort { return netip.AddrPortFrom(t.ip, uint16(t.port)) }

// Process is the task's server.
func (t *Task) Process() *Process { return t.server }

// Publish puts the task into DNS.
func (t *Task) Publish() error { return t.lab.DNS.change(t.service, t.ip, true) }

// AddTask starts a task, waits until it listens, and puts it into DNS. Its name, and hostname, is the
// service's with the lowest free number: web-1. ctx bounds the start only.
func (l *Lab) AddTask(ctx context.Context, o TaskOptions) (*Task, error) {
	t, err := l.reserve(o)
	if err != nil {
		return nil, err
	}
	err = t.start(ctx)
	if err == nil && !o.Hidden {
		err = t.Publish()
	}
	if err != nil {
		t.vanish()
		return nil, fmt.Errorf("add task %s: %w", t.taskName(), err)
	}
	l.mu.Lock()
	t.started = true
	l.mu.Unlock()
	return t, nil
}

// reserve enters a task with its slot and address into the lab's list.
func (l *Lab) reserve(o TaskOptions) (*Task, error) {
	t := &Task{lab: l, service: o.Service, kind: o.Kind, command: o.Command, port: o.Port}
	if t.service == "" {
		t.service = l.opts.Service
	}
	if t.kind == "" {
		t.kind = l.opts.Kind
	}
	if t.port == 0 {
		t.port = TaskPort
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	var err error
	if t.ip, err = l.freeAddr(o.Addr); err != nil {
		return nil, err
	}
	t.slot = l.freeSlot(t.service)
	l.tasks = append(l.tasks, t)
	return t, nil
}

func (l *Lab) freeSlot(service string) int {
	used := make(map[int]bool)
	for _, t := range l.tasks {
		if t.service == service {
			used[t.slot] = true
		}
	}
	slot := 1
	for used[slot] {
		slot++
	}
	return slot
}

// freeAddr returns want if that is given and free, else the next free address after the one given last.
func (l *Lab) freeAddr(want netip.Addr) (netip.Addr, error) {
	used := make(map[netip.Addr]bool)
	for _, t := range l.tasks {
		used[t.ip] = true
	}
	if want.IsValid() {
		overlay := netip.MustParsePrefix(overlayPrefix)
		if last := want.AsSlice()[len(want.AsSlice())-1]; !overlay.Contains(want) || last < firstTaskIP || last > lastTaskIP {
			return want, fmt.Errorf("address %s is not one for tasks of %s", want, overlay)
		}
		if used[want] {
			return want, fmt.Errorf("address %s is another task's", want)
		}
		return want, nil
	}
	base := netip.MustParsePrefix(overlayPrefix).Addr().As4()
	for range lastTaskIP - firstTaskIP + 1 {
		base[3] = byte(l.nextIP)
		if l.nextIP++; l.nextIP > lastTaskIP {
			l.nextIP = firstTaskIP
		}
		if addr := netip.AddrFrom4(base); !used[addr] {
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("no address of %s is free", overlayPrefix)
}

func (t *Task) taskName() string { return t.service + "-" + strconv.Itoa(t.slot) }

// start makes the task's namespace, plugs it into the overlay and starts its server.
func (t *Task) start(ctx context.Context) error {
	h, err := t.lab.newHost(t.taskName())
	if err != nil {
		return err
	}
	h.addr, t.Host = t.ip, h
	prefix := netip.PrefixFrom(t.ip, netip.MustParsePrefix(overlayPrefix).Bits())
	err = leg{host: h, link: "eth0", addr: prefix.String(), mtu: overlayMTU,
		peer: t.lab.Overlay, peerLink: t.bridgePort(), bridge: overlayBridge}.join()
	if err != nil {
		return err
	}
	if t.command != nil {
		return t.startCommand(ctx, *t.command)
	}
	if t.kind == SimpleWeb {
		return t.startSimpleWeb(ctx)
	}
	part := hello{Role: roleTask, Task: &taskConfig{Kind: t.kind, Port: t.port, Name: t.name}}
	t.server, err = h.spawn(ctx, part, nil)
	return err
}

// bridgePort is the name of the overlay's end of the task's veth pair.
func (t *Task) bridgePort() string { return "task" + strconv.Itoa(int(t.ip.As4()[3])) }

func (t *Task) startSimpleWeb(ctx context.Context) error {
	if t.port != TaskPort {
		return fmt.Errorf("%s listens on port %d only", SimpleWeb, TaskPort)
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		return err
	}
	const script = "simple_web.py"
	return t.startCommand(ctx, Command{
		Argv:  []string{python, "-u", FilesDir + "/" + script},
		Files: map[string][]byte{script: simpleWebSource},
	})
}

// startCommand runs the task's server as a program of its own.
func (t *Task) startCommand(ctx context.Context, c Command) (err error) {
	if t.server, err = t.Start(ctx, c); err != nil {
		return err
	}
	return t.awaitListening(ctx)
}

// awaitListening connects until that succeeds or the server has ended.
func (t *Task) awaitListening(ctx context.Context) error {
	for {
		conn, err := t.DialContext(ctx, "tcp4", t.Endpoint().String())
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w (last: %w)", t.name, ctx.Err(), err)
		case <-t.server.Done():
			return fmt.Errorf("server of %s ended: %w%s", t.name, errors.Join(t.server.Err()), t.server.output.suffix())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Stop ends the task as Swarm does: out of DNS, StopDelay, SIGTERM, StopGrace, SIGKILL; then its namespace
// goes. When ctx ends earlier, it is killed at once.
func (t *Task) Stop(ctx context.Context) error {
	err := t.lab.DNS.Remove(t)
	select {
	case <-time.After(t.lab.opts.StopDelay):
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(ctx, t.lab.opts.StopGrace)
	defer cancel()
	_ = t.server.Stop(grace) // a server may end with any status
	t.vanish()
	return err
}

// Kill ends the server by SIGKILL. The task's address still answers, with resets, and its record stays until
// DNS.Remove or Stop: a crash that Swarm has not noticed.
func (t *Task) Kill() { t.server.Kill() }

// Unplug cuts the task from the overlay: packets to it are lost in silence, as when its node dies.
func (t *Task) Unplug() error {
	return t.lab.Overlay.links(func(nl *netlink.Handle) error {
		port, err := nl.LinkByName(t.bridgePort())
		if err != nil {
			return fmt.Errorf("unplug %s: %w", t.name, err)
		}
		return nl.LinkSetDown(port)
	})
}

// Plug undoes Unplug.
func (t *Task) Plug() error {
	return t.lab.Overlay.links(func(nl *netlink.Handle) error { return linkUp(nl, t.bridgePort()) })
}

// vanish removes the task's host from the lab.
func (t *Task) vanish() {
	l := t.lab
	l.mu.Lock()
	if i := slices.Index(l.tasks, t); i >= 0 {
		l.tasks = slices.Delete(l.tasks, i, i+1)
	}
	l.mu.Unlock()
	// The kernel removes the namespace later; its place on the bridge must be free at once.
	_ = l.Overlay.links(func(nl *netlink.Handle) error {
		port, err := nl.LinkByName(t.bridgePort())
		if err != nil {
			return err
		}
		return nl.LinkDel(port)
	})
	if t.Host != nil {
		l.disown(t.Host)
		t.close()
	}
}

// Tasks lists the tasks of a service, by slot; all services' tasks, in order of their start, for "".
func (l *Lab) Tasks(service string) []*Task {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []*Task
	for _, t := range l.tasks {
		if t.started && (service == "" || t.service == service) {
			list = append(list, t)
		}
	}
	if service != "" {
		sortBySlot(list)
	}
	return list
}
