package datapath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// filterName is how `tc filter show` names our filter, and how we know one that a killed process left behind;
// filterHandle is its handle.
const (
	filterName   = "wg_ingress"
	filterHandle = 0x7767 // "wg"
)

// filter is the program as a direct-action filter of a clsact qdisc.
type filter struct {
	handle *netlink.Handle
	filter *netlink.BpfFilter
	qdisc  *netlink.Clsact // ours; nil if it was there
}

// attachFilter adds the filter, and the qdisc it needs if there is none.
func attachFilter(h *netlink.Handle, prog *ebpf.Program, l link) (*filter, error) {
	qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: l.index,
		Handle:    netlink.MakeHandle(0xffff, 0),
		Parent:    netlink.HANDLE_CLSACT,
	}}
	f := &filter{handle: h}
	switch err := h.QdiscAdd(qdisc); {
	case err == nil:
		f.qdisc = qdisc
	case !errors.Is(err, unix.EEXIST):
		return nil, fmt.Errorf("add clsact qdisc: %w", err)
	}
	priority, err := freePriority(h, l)
	if err == nil {
		f.filter = &netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{
				LinkIndex: l.index,
				Parent:    netlink.HANDLE_MIN_INGRESS,
				Handle:    filterHandle,
				Priority:  priority,
				Protocol:  unix.ETH_P_ALL,
			},
			Name:         filterName,
			DirectAction: true,
		}
		err = f.replace(prog)
	}
	if err != nil {
		if f.qdisc != nil {
			err = errors.Join(err, h.QdiscDel(f.qdisc))
		}
		return nil, fmt.Errorf("add bpf filter: %w", err)
	}
	return f, nil
}

// freePriority is the priority of the filter that a process of ours left behind, or the first one that nobody uses.
func freePriority(h *netlink.Handle, l link) (uint16, error) {
	filters, err := h.FilterList(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: l.index}}, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		return 0, fmt.Errorf("list filters: %w", err)
	}
	taken := make(map[uint16]bool)
	for _, other := range filters {
		if bpf, ok := other.(*netlink.BpfFilter); ok && bpf.Name == filterName && bpf.Handle == filterHandle {
			return bpf.Priority, nil
		}
		taken[other.Attrs().Priority] = true
	}
	priority := uint16(1)
	for taken[priority] {
		priority++
	}
	return priority, nil
}

// replace puts another program in the filter, which the kernel swaps as a whole.
func (f *filter) replace(prog *ebpf.Program) error {
	f.filter.Fd = prog.FD()
	return f.handle.FilterReplace(f.filter)
}

// detach undoes what was done, and no more: a qdisc that was there stays, and so does one of ours that somebody else has begun
// to use since.
func (f *filter) detach() error {
	if err := ignoreGone(f.handle.FilterDel(f.filter)); err != nil {
		return fmt.Errorf("delete bpf filter: %w", err)
	}
	if f.qdisc == nil || f.usedByOthers() {
		return nil
	}
	return ignoreGone(f.handle.QdiscDel(f.qdisc))
}

func (f *filter) usedByOthers() bool {
	on := &netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: f.qdisc.LinkIndex}}
	for _, parent := range []uint32{netlink.HANDLE_MIN_INGRESS, netlink.HANDLE_MIN_EGRESS} {
		if filters, err := f.handle.FilterList(on, parent); err == nil && len(filters) > 0 {
			return true
		}
	}
	return false
}

// ignoreGone forgives that what should be removed went with its interface.
func ignoreGone(err error) error {
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}
