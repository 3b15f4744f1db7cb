package datapath

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
)

// Bits of lbWgMac.Known, values of enum wg_mac_known.
const (
	macKnown      = 1 << 0
	macXDP        = 1 << 1
	macXDPBuffers = 1 << 2
	macXDPBack    = 1 << 3
)

const attachXDP = "xdp"

// xdpHasFrags is BPF_F_XDP_HAS_FRAGS (include/uapi/linux/bpf.h).
const xdpHasFrags = 1 << 5

// loadExpress loads the program for XDP, on the maps of obj. For the kernel's generic XDP it is one that takes no frames of several
// buffers: a kernel from 6.9 on copies packets for one that does, and the copy has lost its mac_len, so that TC finds no MACs
// in front of what XDP has passed on (netif_receive_generic_xdp, skb_pp_cow_data; TestGenericXDPWithFragsHidesMACsFromTC).
func (obj *object) loadExpress(o Options) (*ebpf.Program, error) {
	spec, err := loadXdp()
	if err != nil {
		return nil, fmt.Errorf("read the embedded object for XDP: %w", err)
	}
	if o.build != nil {
		o.build(spec.Programs[xdpProgWgXdp])
	}
	if o.generic() {
		spec.Programs[xdpProgWgXdp].Flags &^= xdpHasFrags
	}
	shared := obj.maps()
	for name := range shared {
		if m, ok := spec.Maps[name]; ok {
			m.MaxEntries = shared[name].MaxEntries() // those that go by options
		} else {
			delete(shared, name)
		}
	}
	var programs xdpPrograms
	if err := spec.LoadAndAssign(&programs, &ebpf.CollectionOptions{MapReplacements: shared}); err != nil {
		return nil, fmt.Errorf("load the program for XDP: %w", err)
	}
	return programs.WgXdp, nil
}

// withoutXDP says why the program for XDP does not belong on an interface; "" if it does. It is a function of what is known
// before anything is tried.
func (l link) withoutXDP(o Options) string {
	switch {
	case o.Mode == ModeTC:
		return "--datapath=tc"
	case l.xdpProgram != 0:
		return fmt.Sprintf("XDP program %d of somebody else is there", l.xdpProgram)
	case o.Mode.insistsOnXDP():
		return ""
	case l.kind == "veth":
		return "the other end of a veth has to run XDP too; --datapath=xdp tries it all the same"
	case !l.device:
		return "it has no device with a driver of its own"
	}
	return ""
}

// attachExpress has l's driver run the program, or the kernel once it has made an skb.
func attachExpress(prog *ebpf.Program, l link, generic bool) (bpflink.Link, error) {
	if generic {
		x, err := bpflink.AttachXDP(bpflink.XDPOptions{Program: prog, Interface: l.index, Flags: bpflink.XDPGenericMode})
		if err != nil {
			return nil, fmt.Errorf("attach generic XDP: %w", err)
		}
		return x, nil
	}
	x, err := bpflink.AttachXDP(bpflink.XDPOptions{Program: prog, Interface: l.index, Flags: bpflink.XDPDriverMode})
	if err != nil {
		return nil, fmt.Errorf("the driver does not run XDP: %w", err)
	}
	return x, nil
}

// kindOf names how the packets of an interface are had.
func (a *attachment) kindOf() string {
	if a.express == nil {
		return a.kind
	}
	if a.generic {
		return string(ModeXDPGeneric) + "+" + a.kind
	}
	return attachXDP + "+" + a.kind
}

// accepts says what XDP may send by an interface, as bits of lbWgMac.Known. features are what the driver says of itself.
func accepts(a *attachment, features xdpFeatures) (known uint16) {
	if a != nil && a.generic { // what it sends is an skb, which any interface takes
		return macXDP | macXDPBack
	}
	if features&xdpTransmits != 0 {
		known |= macXDP
	}
	if features&xdpTransmitsBuffers != 0 {
		known |= macXDPBuffers
	}
	// XDP_TX on a veth only arrives where the other end runs XDP, which redirecting does not take.
	if a != nil && a.express != nil && a.link.kind != "veth" {
		known |= macXDPBack
	}
	return known
}

// openExpress loads the program for XDP where it may be of use. Without it the kernel path works by TC.
func (dp *Datapath) openExpress() error {
	if dp.opts.Mode == ModeTC {
		return nil
	}
	var err error
	if dp.obj.express, err = dp.obj.loadExpress(dp.opts); err != nil && dp.opts.Mode.insistsOnXDP() {
		return err
	}
	if err != nil {
		dp.handicaps = append(dp.handicaps, "XDP is not used: "+err.Error())
	}
	return nil
}

// generic tells that XDP is to be the kernel's own, not the driver's.
func (o Options) generic() bool { return o.Mode == ModeXDPGeneric }

// addExpress puts the program for XDP in front of an attachment, or notes why not. The caller holds mu and is inside the
// namespace.
func (dp *Datapath) addExpress(a *attachment) {
	if a.without = a.link.withoutXDP(dp.opts); a.without != "" {
		return
	}
	if dp.obj.express == nil {
		a.without = "the program for XDP could not be loaded"
		return
	}
	var err error
	if a.express, err = attachExpress(dp.obj.express, a.link, dp.opts.generic()); err == nil {
		a.generic = dp.opts.generic()
		err = dp.pins.pin(a.express, pinXDP, a.link.index)
	}
	if err != nil {
		a.without = err.Error()
	}
}

// noteFeatures fills in what XDP may send by each of the links. The caller holds mu.
func (dp *Datapath) noteFeatures(links []link) {
	if dp.mode() == ModeTC { // nobody asks
		return
	}
	_ = dp.ns.do(func() error {
		for i := range links {
			features, err := featuresOf(links[i].index)
			if err != nil { // an interface that has gone, or a kernel before 6.3: only what is known without it
				dp.opts.Logger.Debug("kernel path: " + err.Error())
			}
			links[i].accepts = accepts(dp.attached[links[i].index], features)
		}
		return nil
	})
}

// mode is ModeXDP or ModeXDPGeneric if any interface has it. The caller holds mu.
func (dp *Datapath) mode() Mode {
	for _, a := range dp.attached {
		if a.generic {
			return ModeXDPGeneric
		}
		if a.express != nil {
			return ModeXDP
		}
	}
	return ModeTC
}

// withoutAny says in words which interfaces have no XDP although it was insisted on, and is an error if none has it.
// The caller holds mu.
func (dp *Datapath) withoutAny() (words []string, err error) {
	if !dp.opts.Mode.insistsOnXDP() {
		return nil, nil
	}
	for _, a := range dp.attached {
		if a.express == nil {
			words = append(words, fmt.Sprintf("%s has no XDP: %s", a.link.name, a.without))
		}
	}
	if len(words) > 0 && len(words) == len(dp.attached) {
		slices.Sort(words)
		return words, &UnavailableError{
			Problem: "no interface can have XDP: " + strings.Join(words, "; "), Remedy: "use --datapath=auto or tc", Err: errors.ErrUnsupported,
		}
	}
	return words, nil
}

// leave lets go of an attachment: the programs stay where they are if what is pinned is kept, else they are taken off. The
// caller holds mu.
func (dp *Datapath) leave(a *attachment) error {
	keep := dp.keep && dp.pins != nil
	var errs []error
	if a.express != nil {
		if !keep {
			errs = append(errs, dp.pins.unpin(pinXDP, a.link.index))
		}
		errs = append(errs, ignoreGone(a.express.Close()))
	}
	switch {
	case !keep:
		errs = append(errs, dp.pins.unpin(pinTC, a.link.index), a.detach(), dp.book.left(a.link.index))
	case a.tcx != nil:
		errs = append(errs, a.tcx.Close())
	}
	return errors.Join(errs...)
}
