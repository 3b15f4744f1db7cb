package datapath

import (
	"log/slog"
	"time"

	"github.com/cilium/ebpf"
)

// Mode is how the program is hooked in.
type Mode string

// The modes. In each of them the program is on TC ingress: tcx where the kernel has it (6.6), else a clsact qdisc.
const (
	// ModeAuto adds XDP in front of it on interfaces whose driver runs XDP, veths excepted.
	ModeAuto Mode = "auto"
	// ModeTC does not.
	ModeTC Mode = "tc"
	// ModeXDP adds it on all interfaces that can have it, and fails if there is none.
	ModeXDP Mode = "xdp"
	// ModeXDPGeneric does so by the kernel's generic XDP, which any driver can have. It saves nothing (see docs/adr/0008).
	ModeXDPGeneric Mode = "xdp-generic"
)

// insistsOnXDP tells whether a kernel path without XDP on any interface is an error.
func (m Mode) insistsOnXDP() bool { return m == ModeXDP || m == ModeXDPGeneric }

// Options say how the kernel path is set up. The zero value is usable: each field has a default.
type Options struct {
	// Mode defaults to ModeAuto.
	Mode Mode
	// Ifaces names the interfaces to attach to. Empty means every Ethernet interface of the namespace that has
	// an IPv4 address, bridge, bond and team ports excepted. Either way interfaces are followed as they come and go.
	Ifaces []string
	// FlowMax is the number of flows the table holds; default 262144. Memory is taken as flows come (512 bytes each).
	FlowMax uint32
	// HalfOpenRing is how many half-open flows each CPU keeps before it recycles the oldest; default 4096, or less
	// where that could fill more than half of the table. Times the CPUs it should stay below FlowMax.
	HalfOpenRing uint32
	// PortMin and PortMax bound the source ports used towards servers, both inclusive. Zero (both) means the larger
	// part of 1024-65535 that is outside of the namespace's net.ipv4.ip_local_port_range, so that they never
	// meet those of local sockets.
	PortMin, PortMax uint16
	// AllSources has servers without Server.Sources connected to from every address of the interface towards them that is in
	// the next hop's network, up to MaxSources. Each one has all source ports again.
	AllSources bool
	// ForceClsact attaches through a clsact qdisc even where tcx exists. For tests.
	ForceClsact bool
	// PinDir is a directory on a BPF file system. Maps and links are pinned under it, so that they outlive the process, and Open goes on
	// with what a process before this one has left there. Empty: all ends with the process.
	PinDir string
	// PinPatience is how long Open waits for another process to let go of the pins; default 3 s, below 0 not at all.
	PinPatience time.Duration
	// Keep has Close leave what is pinned, for a process that follows. Without it Close ends all.
	Keep bool
	// NetNS is the path of the network namespace to work in, such as /run/netns/lb; empty means that of the process.
	NetNS string
	// OnClose is told the end of each session of a service that is Logged, from one goroutine of the Datapath. It must not
	// block for long, or call Close: the kernel does not wait for it, and what finds its ring full is lost. nil: nobody is told.
	OnClose func(Closed)
	// RunTime has the kernel measure the program: Snapshot.RunTime. It costs two readings of a clock for each packet, for all
	// BPF programs of the machine, and takes CAP_SYS_ADMIN unless the sysctl kernel.bpf_stats_enabled is set.
	RunTime bool
	// Logger receives what changes on the way (an interface that came, a route that is missing); default slog.Default().
	Logger *slog.Logger
	// eventsBytes is the size of the ring of events; 0: what OnClose takes.
	eventsBytes uint32
	// awake is for how much longer than usual the program takes connections without a sign of life. For tests: a machine that stalls
	// for some seconds goes on with whatever was next, which may be a connection.
	awake time.Duration
	// build changes the programs before they are loaded, as another build of waggle would have others. For tests.
	build func(*ebpf.ProgramSpec)
}

const (
	defaultPinPatience  = 3 * time.Second
	defaultFlowMax      = 262144
	defaultHalfOpenRing = 4096
)

func (o Options) withDefaults() Options {
	if o.Mode == "" {
		o.Mode = ModeAuto
	}
	if o.FlowMax == 0 {
		o.FlowMax = defaultFlowMax
	}
	if o.HalfOpenRing == 0 {
		o.HalfOpenRing = max(1, min(defaultHalfOpenRing, o.FlowMax/2/uint32(ebpf.MustPossibleCPU())))
	}
	if o.PinPatience == 0 {
		o.PinPatience = defaultPinPatience
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return o
}
