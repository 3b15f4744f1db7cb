package datapath

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
)

const (
	attachTCX    = "tcx"
	attachClsact = "clsact"
)

// attachment is the program on one interface.
type attachment struct {
	link link
	kind string
	// tcx is the link that holds the program; nil where a filter does.
	tcx bpflink.Link
	// express holds the program for XDP in front of it; nil where there is only TC; without says why then.
	express bpflink.Link
	without string
	// generic tells that express is run by the kernel with an skb, not by the driver.
	generic bool
	// gone tells that somebody else has taken the program off, if that is certain.
	gone func() bool
	// detach takes the program off; an interface that is gone already is no error.
	detach func() error
}

// attach follows the interfaces: it attaches to new ones, anew to those that somebody else has taken the program off, and lets go
// of those that left. homes is of the routing table. One that cannot be attached to is reported in words; it is an error if there is no other.
func (dp *Datapath) attach(links []link, homes map[int]uint16) (failed []string, err error) {
	var errs []error
	for index, a := range dp.attached {
		if !slices.ContainsFunc(links, func(l link) bool { return l.index == index }) {
			dp.part(a)
		}
	}
	for _, l := range links {
		dp.partIfGone(l.index)
		if err := dp.attachTo(l, homes[l.index]); err != nil {
			errs = append(errs, err)
			failed = append(failed, err.Error())
		}
	}
	if len(dp.attached) == 0 {
		return nil, errors.Join(errs...)
	}
	return failed, nil
}

// part lets go of an interface, or of what is not on it any more.
func (dp *Datapath) part(a *attachment) {
	dp.opts.Logger.Info("kernel path: left interface", "name", a.link.name)
	if err := errors.Join(dp.leave(a), ignoreMissing(dp.obj.WgIfaces.Delete(uint32(a.link.index)))); err != nil {
		dp.opts.Logger.Warn("kernel path: leaving interface failed", "name", a.link.name, "err", err)
	}
	delete(dp.attached, a.link.index)
}

// partIfGone parts with an interface that the program was taken off by somebody else: also by the kernel, which takes qdiscs off one
// that is moved to another namespace, so that it comes back without.
func (dp *Datapath) partIfGone(index int) {
	if a := dp.attached[index]; a != nil && a.gone() {
		dp.opts.Logger.Warn("kernel path: the program was taken off an interface by somebody else, and is attached anew", "name", a.link.name)
		dp.part(a)
	}
}

// meetInterfaces attaches to interfaces that have just come, without waiting for the network to settle: packets of flows that come by one
// before the program is on it meet the stack, which knows no such connection and resets it. All else, and what fails, is up to refresh.
// An interface of a container gets its addresses before it is set up; one that we have been on before, and that comes back from another
// namespace, needs none (see rtnetlink.wants).
func (dp *Datapath) meetInterfaces() {
	dp.mu.Lock()
	defer dp.mu.Unlock()
	if dp.closed {
		return
	}
	links, err := dp.network.links()
	if err != nil {
		return
	}
	home := homes(dp.routes.routes)
	for _, l := range links {
		if dp.partIfGone(l.index); dp.attached[l.index] == nil {
			_ = dp.attachTo(l, home[l.index])
		}
	}
}

// attachTo lets the program know an interface, and attaches to it unless that is done.
func (dp *Datapath) attachTo(l link, home uint16) error {
	var was lbWgIface
	if dp.narrows != nil && dp.obj.WgIfaces.Lookup(uint32(l.index), &was) == nil { // also of a process before this one
		dp.narrows.note(uint32(l.index), was.Mtu, l.mtu, monotonicNow())
	}
	if err := dp.obj.WgIfaces.Put(uint32(l.index), lbWgIface{Mtu: l.mtu, Mac: l.mac, Home: home}); err != nil {
		return fmt.Errorf("note interface %s: %w", l.name, err)
	}
	if dp.attached[l.index] != nil {
		return nil
	}
	return dp.ns.do(func() error {
		if err := dp.book.program(dp.obj.WgIngress, l.index); err != nil {
			return err
		}
		a, err := attach(dp.handle, dp.obj.WgIngress, l, dp.opts.ForceClsact, &dp.alive)
		if err != nil {
			return err
		}
		dp.attached[l.index] = a
		if a.tcx != nil {
			err = dp.pins.pin(a.tcx, pinTC, l.index)
		}
		dp.addExpress(a)
		dp.opts.Logger.Info("kernel path: attached", "name", l.name, "by", a.kindOf(), "no XDP", a.without)
		return err
	})
}

// attach puts the program on l's ingress: by tcx (kernel 6.6), else by a filter on a clsact qdisc. It must run inside the
// namespace. Programs of others that are there stay in front: what they drop or redirect is none of ours, as with a firewall.
// What is not ours goes on to those behind.
func attach(h *netlink.Handle, prog *ebpf.Program, l link, forceClsact bool, alive *lifeline) (*attachment, error) {
	if !forceClsact {
		tcx, err := bpflink.AttachTCX(bpflink.TCXOptions{
			Interface: l.index, Program: prog, Attach: ebpf.AttachTCXIngress, Anchor: bpflink.Tail(),
		})
		if err == nil {
			return tcxAttachment(l, tcx), nil
		}
		if !errors.Is(err, ebpf.ErrNotSupported) {
			return nil, fmt.Errorf("attach to %s: %w", l.name, err)
		}
	}
	f, err := attachFilter(h, prog, l, alive)
	if err != nil {
		return nil, fmt.Errorf("attach to %s: %w", l.name, err)
	}
	return &attachment{link: l, kind: attachClsact, gone: f.gone, detach: f.detach}, nil
}

// tcxAttachment is one by a link.
func tcxAttachment(l link, tcx bpflink.Link) *attachment {
	gone := func() bool {
		info, err := tcx.Info()
		return err == nil && info.TCX() != nil && info.TCX().Ifindex == 0
	}
	return &attachment{link: l, kind: attachTCX, tcx: tcx, gone: gone, detach: tcx.Close}
}
