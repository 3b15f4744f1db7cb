package datapath

import (
	"errors"
	"fmt"

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

// attach puts the program on l's ingress: by tcx (kernel 6.6), else by a filter on a clsact qdisc. It must run inside the
// namespace. Programs of others that are there stay in front: what they drop or redirect is none of ours, as with a firewall.
// What is not ours goes on to those behind.
func attach(h *netlink.Handle, prog *ebpf.Program, l link, forceClsact bool) (*attachment, error) {
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
	f, err := attachFilter(h, prog, l)
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
