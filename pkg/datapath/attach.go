package datapath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	bpflink "github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	attachTCX    = "tcx"
	attachClsact = "clsact"

	// filterName is how `tc filter show` names ours; filterHandle and filterPriority are where it stands.
	filterName     = "wg_ingress"
	filterHandle   = 0x7767 // "wg"
	filterPriority = 1
)

// attachment is the program on one interface.
type attachment struct {
	link link
	kind string
	// detach takes the program off; an interface that is gone already is no error.
	detach func() error
}

// attach puts the program on l's ingress: by tcx (kernel 6.6), else by a filter on a clsact qdisc.
// It must run inside the namespace.
func attach(h *netlink.Handle, prog *ebpf.Program, l link, forceClsact bool) (*attachment, error) {
	if !forceClsact {
		tcx, err := bpflink.AttachTCX(bpflink.TCXOptions{Interface: l.index, Program: prog, Attach: ebpf.AttachTCXIngress})
		if err == nil {
			return &attachment{link: l, kind: attachTCX, detach: tcx.Close}, nil
		}
		if !errors.Is(err, ebpf.ErrNotSupported) {
			return nil, fmt.Errorf("attach to %s: %w", l.name, err)
		}
	}
	detach, err := attachFilter(h, prog, l)
	if err != nil {
		return nil, fmt.Errorf("attach to %s: %w", l.name, err)
	}
	return &attachment{link: l, kind: attachClsact, detach: detach}, nil
}

// attachFilter adds the program as a direct-action filter, and the clsact qdisc it needs if there is none. The
// returned function undoes what was done, and no more: a qdisc that was there stays.
func attachFilter(h *netlink.Handle, prog *ebpf.Program, l link) (func() error, error) {
	qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: l.index,
		Handle:    netlink.MakeHandle(0xffff, 0),
		Parent:    netlink.HANDLE_CLSACT,
	}}
	err := h.QdiscAdd(qdisc)
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, fmt.Errorf("add clsact qdisc: %w", err)
	}
	created := err == nil
	filter := &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: l.index,
			Parent:    netlink.HANDLE_MIN_INGRESS,
			Handle:    filterHandle,
			Priority:  filterPriority,
			Protocol:  unix.ETH_P_ALL,
		},
		Fd:           prog.FD(),
		Name:         filterName,
		DirectAction: true,
	}
	// Replace: a filter of ours may be left from a process that was killed.
	if err := h.FilterReplace(filter); err != nil {
		if created {
			err = errors.Join(err, h.QdiscDel(qdisc))
		}
		return nil, fmt.Errorf("add bpf filter: %w", err)
	}
	return func() error {
		if created {
			return ignoreGone(h.QdiscDel(qdisc))
		}
		return ignoreGone(h.FilterDel(filter))
	}, nil
}

// ignoreGone forgives that what should be removed went with its interface.
func ignoreGone(err error) error {
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}
