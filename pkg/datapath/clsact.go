package datapath

import (
	"errors"
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// filterName is how `tc filter show` names our filter, and how we know one that a killed process left behind. Its handle is
// filterOwner if we have made the qdisc, which so is known even to who comes after a killed process, else filterGuest.
const (
	filterName  = "wg_ingress"
	filterOwner = 0x7767 // "wg"
	filterGuest = 0x7768
)

// filter is the program as a direct-action filter of a clsact qdisc.
type filter struct {
	handle *netlink.Handle
	filter *netlink.BpfFilter
	qdisc  *netlink.Clsact // ours; nil if it was there
}

// attachFilter adds the filter, and the qdisc it needs if there is none. A filter that a killed process left behind gets the
// program instead; no packet passes by in between.
func attachFilter(h *netlink.Handle, prog *ebpf.Program, l link) (*filter, error) {
	qdisc := clsactOn(l.index)
	f := &filter{handle: h}
	handle := uint32(filterGuest)
	switch err := h.QdiscAdd(qdisc); {
	case err == nil:
		f.qdisc, handle = qdisc, filterOwner
	case !errors.Is(err, unix.EEXIST):
		return nil, fmt.Errorf("add clsact qdisc: %w", err)
	}
	priority, left, err := freePriority(h, l)
	if left != 0 {
		handle = left
	}
	if handle == filterOwner {
		f.qdisc = qdisc
	}
	if err == nil {
		f.filter = &netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{
				LinkIndex: l.index,
				Parent:    netlink.HANDLE_MIN_INGRESS,
				Handle:    handle,
				Priority:  priority,
				Protocol:  unix.ETH_P_ALL,
			},
			Fd:           prog.FD(),
			Name:         filterName,
			DirectAction: true,
		}
		err = h.FilterReplace(f.filter) // which the kernel swaps as a whole
	}
	if err != nil {
		if f.qdisc != nil && left == 0 {
			err = errors.Join(err, h.QdiscDel(f.qdisc))
		}
		return nil, fmt.Errorf("add bpf filter: %w", err)
	}
	return f, nil
}

// freePriority is the priority of the filter that a process of ours left behind, with its handle, or the first one that nobody
// uses and 0.
func freePriority(h *netlink.Handle, l link) (priority uint16, left uint32, err error) {
	filters, err := ingressFilters(h, l.index)
	if err != nil {
		return 0, 0, err
	}
	taken := make(map[uint16]bool)
	for _, other := range filters {
		if bpf := ourFilter(other); bpf != nil {
			return bpf.Priority, bpf.Handle, nil
		}
		taken[other.Attrs().Priority] = true
	}
	for priority = 1; taken[priority]; {
		priority++
	}
	return priority, 0, nil
}

func ingressFilters(h *netlink.Handle, ifindex int) ([]netlink.Filter, error) {
	filters, err := h.FilterList(&netlink.Dummy{LinkAttrs: netlink.LinkAttrs{Index: ifindex}}, netlink.HANDLE_MIN_INGRESS)
	if err != nil {
		return nil, fmt.Errorf("list filters: %w", err)
	}
	return filters, nil
}

// ourFilter returns a filter that a process of ours has made, by its name and handle; nil if it is none.
func ourFilter(f netlink.Filter) *netlink.BpfFilter {
	bpf, ok := f.(*netlink.BpfFilter)
	if !ok || bpf.Name != filterName || bpf.Handle != filterOwner && bpf.Handle != filterGuest {
		return nil
	}
	return bpf
}

// removeFilter detaches what a process of ours has put on an interface, if the program in it is the one that it has left there.
func removeFilter(h *netlink.Handle, ifindex, program int) error {
	filters, err := ingressFilters(h, ifindex)
	if err != nil {
		return ignoreGone(err)
	}
	for _, one := range filters {
		bpf := ourFilter(one)
		if bpf == nil || bpf.Id != program {
			continue
		}
		f := &filter{handle: h, filter: bpf}
		if bpf.Handle == filterOwner {
			f.qdisc = clsactOn(ifindex)
		}
		return f.detach()
	}
	return nil
}

// clsactOn is the qdisc that filters at ingress and egress hang on.
func clsactOn(ifindex int) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: ifindex,
		Handle:    netlink.MakeHandle(0xffff, 0),
		Parent:    netlink.HANDLE_CLSACT,
	}}
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

// gone tells that somebody has deleted the filter, or the qdisc with it.
func (f *filter) gone() bool {
	_, left, err := freePriority(f.handle, link{index: f.filter.LinkIndex})
	return err == nil && left == 0
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
