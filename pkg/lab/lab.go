package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab/wire"
)

// Options say what [New] builds. The zero value is a lab without tasks.
type Options struct {
	// Tasks is how many tasks New starts at once. Default 0: add them by AddTask or Scale.
	Tasks int
	// Service is the name of those tasks' service. Default "web".
	Service string
	// Kind is what those tasks run. Default HTTP11.
	Kind Kind
	// Stack is the name of the stack: service web is also found as <stack>_web. Default "demo".
	Stack string
	// StopDelay is the time from a task's removal from DNS to its SIGTERM. Swarm's is 2 s; default 0.
	StopDelay time.Duration
	// StopGrace is the time from SIGTERM to SIGKILL. Default 10 s, as in Swarm.
	StopGrace time.Duration
	// XDP has the balancer's interfaces behave as those of a NIC whose driver runs XDP: checksums that come in are whole, and frames
	// that XDP sends are taken. Without it a veth's other end leaves checksums to hardware, and XDP passes its packets on to TC.
	XDP bool
	// Wires has the balancer's two legs be wires, OverlayWire and GatewayWire, whose faults can be set. They are slower than veths.
	Wires bool
	// WireSeed decides what the wires do to their frames.
	WireSeed uint64
	// Output, if set, also gets what every actor writes to stdout and stderr. Writes are serialised.
	Output io.Writer
}

func (o Options) withDefaults() Options {
	if o.Service == "" {
		o.Service = "web"
	}
	if o.Kind == "" {
		o.Kind = HTTP11
	}
	if o.Stack == "" {
		o.Stack = "demo"
	}
	if o.StopGrace == 0 {
		o.StopGrace = 10 * time.Second
	}
	if o.Output != nil {
		o.Output = &serialWriter{w: o.Output}
	}
	return o
}

// Lab is a running lab. Its methods may be called from several goroutines; Close may be called at any time
// and more than once.
type Lab struct {
	// Client is where requests come from: 198.18.0.2, routed to the balancer through the node.
	Client *Host
	// Balancer is where the balancer under test runs.
	Balancer *Balancer
	// Node stands for the Swarm node: it routes between the client and docker_gwbridge.
	Node *Host
	// Overlay holds the bridge between the balancer and the tasks.
	Overlay *Host
	// DNS is the server at 127.0.0.11:53 in the balancer's namespace.
	DNS *DNS
	// OverlayWire and GatewayWire are the balancer's legs if Options.Wires asks for them, else nil.
	OverlayWire, GatewayWire *wire.Wire

	opts    Options
	spawner *spawner

	scaling sync.Mutex // held by Scale, so that two of them do not interleave

	mu      sync.Mutex
	hosts   []*Host
	tasks   []*Task
	nextIP  int
	closed  bool
	closing sync.Once
}

// New builds a lab and waits until its DNS server and its tasks answer. ctx bounds the set-up only. After an
// error nothing is left; after success the caller must Close the lab.
func New(ctx context.Context, opts Options) (*Lab, error) {
	l := &Lab{opts: opts.withDefaults(), spawner: newSpawner(), nextIP: firstTaskIP}
	if err := l.build(ctx); err != nil {
		l.Close()
		if errors.Is(err, unix.EPERM) {
			err = fmt.Errorf("%w (network namespaces need root: CAP_SYS_ADMIN and CAP_NET_ADMIN)", err)
		}
		return nil, fmt.Errorf("build lab: %w", err)
	}
	return l, nil
}

func (l *Lab) build(ctx context.Context) (err error) {
	if err := l.buildTopology(); err != nil {
		return err
	}
	if l.DNS, err = startDNS(ctx, l); err != nil {
		return err
	}
	for range l.opts.Tasks {
		if _, err := l.AddTask(ctx, TaskOptions{}); err != nil {
			return err
		}
	}
	return nil
}

// Close ends every process of the lab and lets go of its namespaces, which the kernel then removes together
// with their interfaces. A namespace in which the caller still holds a socket lives until that is closed.
func (l *Lab) Close() {
	l.closing.Do(func() {
		l.mu.Lock()
		l.closed = true
		hosts := slices.Clone(l.hosts)
		l.mu.Unlock()

		if l.Balancer != nil {
			l.Balancer.stopAll(balancerStopGrace)
		}
		for _, h := range hosts {
			h.close()
		}
		for _, w := range []*wire.Wire{l.OverlayWire, l.GatewayWire} {
			if w != nil {
				_ = w.Close() // both ends are ours alone
			}
		}
		l.spawner.close()
	})
}

// adopt makes h part of the lab: Close will close it.
func (l *Lab) adopt(h *Host) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errClosed
	}
	l.hosts = append(l.hosts, h)
	return nil
}

func (l *Lab) disown(h *Host) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.hosts, h); i >= 0 {
		l.hosts = slices.Delete(l.hosts, i, i+1)
	}
}

var errClosed = errors.New("lab is closed")

// balancerStopGrace lets the balancer detach its programs in good order before it is killed.
const balancerStopGrace = 3 * time.Second

// serialWriter lets many actors share one writer.
type serialWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *serialWriter) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
