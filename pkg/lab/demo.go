package lab

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab/forward"
)

// The ports at which the demo is reached on 127.0.0.1. The first is the seed's published port.
const (
	DemoHTTPPort  = 48686
	DemoTCPPort   = 48687
	DemoStatsPort = 48404
)

// AnyPort asks for a port that is free.
const AnyPort = -1

// The balancer's ports, as embed/haproxy.cfg and embed/extra.cfg bind them.
const (
	httpFrontend  = 8000
	tcpFrontend   = 8001
	statsFrontend = 8404
)

//go:embed embed/haproxy.cfg
var seedConfig []byte

//go:embed embed/extra.cfg
var extraConfig []byte

// DemoPorts are ports on 127.0.0.1: 0 for the default, AnyPort for a free one.
type DemoPorts struct{ HTTP, TCP, Stats int }

// DemoOptions say how [Demo] runs. Out is required.
type DemoOptions struct {
	// Once makes the demo end by itself after one round on each path.
	Once bool
	// Tasks is how many tasks there are at first. Default 3, which is also how many slots the seed's
	// configuration has.
	Tasks int
	// In is where keys are read from; nil for none. A terminal is switched to deliver single keys.
	In io.Reader
	// Out gets all the demo prints.
	Out io.Writer
	// Executable is the balancer, run as "<executable> run -f haproxy.cfg -f extra.cfg <ExtraArgs>". Default: this
	// program.
	Executable string
	// ExtraArgs are further arguments of the balancer, such as --datapath=off.
	ExtraArgs []string
	// Argv, if set, is run instead of Executable and ExtraArgs. The configuration is in FilesDir, as haproxy.cfg
	// and extra.cfg.
	Argv []string
	// Ports are where the host reaches the demo.
	Ports DemoPorts
	// KernelSessions reads from the text of /metrics how many TCP sessions the kernel path has carried since the
	// start, false if it does not say. Default: waggle_frontend_sessions_total of the TCP frontend.
	KernelSessions func(metrics string) (float64, bool)
}

func (o DemoOptions) withDefaults() (DemoOptions, error) {
	if o.Tasks == 0 {
		o.Tasks = 3
	}
	if o.Tasks < 0 || o.Tasks > maxDemoTasks {
		return o, fmt.Errorf("demo: tasks must be 1 to %d, not %d", maxDemoTasks, o.Tasks)
	}
	if o.Executable == "" {
		self, err := os.Executable()
		if err != nil {
			return o, fmt.Errorf("demo: find this program: %w", err)
		}
		o.Executable = self
	}
	if o.Argv == nil {
		o.Argv = []string{o.Executable, "run", "-f", FilesDir + "/haproxy.cfg", "-f", FilesDir + "/extra.cfg"}
		o.Argv = append(o.Argv, o.ExtraArgs...)
	}
	if o.KernelSessions == nil {
		o.KernelSessions = kernelSessions
	}
	for _, p := range []struct {
		port     *int
		fallback int
	}{{&o.Ports.HTTP, DemoHTTPPort}, {&o.Ports.TCP, DemoTCPPort}, {&o.Ports.Stats, DemoStatsPort}} {
		switch *p.port {
		case 0:
			*p.port = p.fallback
		case AnyPort:
			*p.port = 0
		}
	}
	return o, nil
}

// maxDemoTasks keeps the demo's tables on a screen.
const maxDemoTasks = 20

// Demo builds a lab with three tasks, balances over them with the seed's configuration and a TCP frontend, and
// shows on Out what happens. It stays until ctx ends, SIGINT, SIGTERM, SIGHUP, or q; with Once it ends after
// one round, with an error if a path did not share its requests equally or the stats page did not answer 200.
// Nothing is left when it returns. It needs root.
func Demo(ctx context.Context, o DemoOptions) error {
	o, err := o.withDefaults()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("demo: needs root, since it builds network namespaces: run it by sudo")
	}
	ctx, stop := signal.NotifyContext(ctx, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	defer stop()

	d := &demo{opts: o, out: printer{o.Out}, built: make(chan struct{})}
	defer d.close()
	err = d.run(ctx)
	if ctx.Err() != nil && !o.Once {
		return nil // the user ended it
	}
	return err
}

// demo is a running demo.
type demo struct {
	opts     DemoOptions
	out      printer
	lab      *Lab // may be read by the forwarders once built is closed
	built    chan struct{}
	balancer *Process
	http     *forward.Forwarder
	tcp      *forward.Forwarder
	stats    *forward.Forwarder
	notes    []string // what a reader should know about the build
}

func (d *demo) run(ctx context.Context) error {
	if err := d.build(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	d.out.topology(d)
	if err := d.show(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if d.opts.Once {
		return nil
	}
	if err := d.interact(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

// build opens the ports first: that they are taken is the likeliest trouble, and the quickest to find.
func (d *demo) build(ctx context.Context) (err error) {
	for _, f := range []struct {
		forwarder  **forward.Forwarder
		host, port int
	}{
		{&d.http, d.opts.Ports.HTTP, httpFrontend},
		{&d.tcp, d.opts.Ports.TCP, tcpFrontend},
		{&d.stats, d.opts.Ports.Stats, statsFrontend},
	} {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(f.host))
		if *f.forwarder, err = forward.Listen(address, d.dialer(f.port)); err != nil {
			return err
		}
	}
	if d.lab, err = New(ctx, Options{StopDelay: swarmStopDelay}); err != nil {
		return err
	}
	close(d.built)
	if err := d.addTasks(ctx); err != nil {
		return err
	}
	d.balancer, err = d.lab.Balancer.Start(ctx, Command{
		Argv:  d.opts.Argv,
		Files: map[string][]byte{"haproxy.cfg": seedConfig, "extra.cfg": extraConfig},
	})
	return err
}

// dialer connects from the client's namespace, so that every connection crosses the veth pair to the balancer.
func (d *demo) dialer(port int) forward.Dial {
	return func(ctx context.Context) (net.Conn, error) {
		select {
		case <-d.built:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return d.lab.Client.DialContext(ctx, "tcp4", d.lab.Balancer.Endpoint(port))
	}
}

// addTasks starts the tasks, the first of them as simple_web.py where that runs.
func (d *demo) addTasks(ctx context.Context) error {
	first := TaskOptions{Kind: SimpleWeb}
	if _, err := exec.LookPath("python3"); err != nil {
		d.notes = append(d.notes, "no python3 here: web-1 is waggle's own HTTP/1.0 server")
		first.Kind = HTTP10
	}
	starting, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err := d.lab.AddTask(starting, first)
	if err != nil && first.Kind == SimpleWeb && ctx.Err() == nil {
		d.notes = append(d.notes, "python3 does not run simple_web.py here: web-1 is waggle's own HTTP/1.0 server")
		_, err = d.lab.AddTask(ctx, TaskOptions{Kind: HTTP10})
	}
	if err != nil {
		return err
	}
	return d.lab.Scale(ctx, demoService, d.opts.Tasks)
}

const (
	demoService    = "web"
	demoSlots      = 3 // of server-template in the demo's configuration
	swarmStopDelay = 2 * time.Second
)

func (d *demo) close() {
	for _, f := range []*forward.Forwarder{d.http, d.tcp, d.stats} {
		if f != nil {
			f.Close()
		}
	}
	if d.lab != nil {
		d.lab.Close()
	}
}
