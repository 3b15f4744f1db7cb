package datapath

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// filterName is how `tc filter show` names our filter, and how we know one that a killed process left behind. Its handle is
// filterOwner if a waggle has made the qdisc, which so is known even to who comes after a killed process, else filterGuest.
const (
	filterName  = "wg_ingress"
	filterOwner = 0x7767 // "wg"
	filterGuest = 0x7768
)

// filter is the program as a direct-action filter of a clsact qdisc.
type filter struct {
	handle  *netlink.Handle
	filter  *netlink.BpfFilter
	program int             // its id
	qdisc   *netlink.Clsact // a waggle's; nil if it was there
}

// attachFilter adds the filter, and the qdisc it needs if there is none. A filter that a killed process left behind gets the
// program instead; no packet passes by in between. That of a waggle that lives is left alone, and its program comes first. It must run
// inside the namespace.
func attachFilter(h *netlink.Handle, prog *ebpf.Program, l link, alive *lifeline) (*filter, error) {
	program, err := programID(prog)
	if err != nil {
		return nil, err
	}
	if err := alive.hold(program); err != nil {
		return nil, err
	}
	qdisc := clsactOn(l.index)
	f := &filter{handle: h, program: program}
	made := false
	switch err := h.QdiscAdd(qdisc); {
	case err == nil:
		made = true
	case !errors.Is(err, unix.EEXIST):
		return nil, fmt.Errorf("add clsact qdisc: %w", err)
	}
	at, err := placeOn(h, l, program)
	if made && at.handle == 0 {
		at.handle = filterOwner
	}
	if at.handle == filterOwner {
		f.qdisc = qdisc
	}
	if err == nil {
		f.filter = &netlink.BpfFilter{
			FilterAttrs: netlink.FilterAttrs{
				LinkIndex: l.index,
				Parent:    netlink.HANDLE_MIN_INGRESS,
				Handle:    cmp.Or(at.handle, filterGuest),
				Priority:  at.priority,
				Protocol:  unix.ETH_P_ALL,
			},
			Fd:           prog.FD(),
			Name:         filterName,
			DirectAction: true,
		}
		if at.left {
			err = h.FilterReplace(f.filter) // which the kernel swaps as a whole
		} else {
			err = h.FilterAdd(f.filter) // and so takes nobody's place that has come meanwhile
		}
	}
	if err != nil {
		if made {
			err = errors.Join(err, h.QdiscDel(qdisc))
		}
		return nil, fmt.Errorf("add bpf filter: %w", err)
	}
	return f, nil
}

// place is where a filter belongs.
type place struct {
	priority uint16
	handle   uint32 // 0: it is up to whether we have made the qdisc
	left     bool   // a filter is there that a process of ours left behind
}

// placeOn is the place of the filter that a process of ours left behind, or behind all that are there: the first priority that nobody
// uses. Where a waggle that lives has made the qdisc it may go before us: the last one removes it.
func placeOn(h *netlink.Handle, l link, program int) (place, error) {
	filters, err := ingressFilters(h, l.index)
	if err != nil {
		return place{}, err
	}
	at := place{priority: 1}
	taken := make(map[uint16]bool)
	for _, other := range filters {
		taken[other.Attrs().Priority] = true
		bpf := ourFilter(other)
		if bpf == nil {
			continue
		}
		if alive, err := lives(bpf.Id); err != nil {
			return place{}, err
		} else if !alive || bpf.Id == program {
			return place{bpf.Priority, bpf.Handle, true}, nil
		}
		if bpf.Handle == filterOwner {
			at.handle = filterOwner
		}
	}
	for taken[at.priority] {
		at.priority++
	}
	return at, nil
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
		f := &filter{handle: h, filter: bpf, program: bpf.Id}
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

// detach undoes what was done, and no more: a filter that has another process's program by now stays, a qdisc that was there does, and so
// does one of ours that somebody else has begun to use since.
func (f *filter) detach() error {
	there, err := f.there()
	if there {
		err = f.handle.FilterDel(f.filter)
	}
	if err := ignoreGone(err); err != nil {
		return fmt.Errorf("delete bpf filter: %w", err)
	}
	if f.qdisc == nil || f.usedByOthers() {
		return nil
	}
	return ignoreGone(f.handle.QdiscDel(f.qdisc))
}

// gone tells that somebody has deleted the filter, or the qdisc with it, or has put another program in.
func (f *filter) gone() bool {
	there, err := f.there()
	return err == nil && !there
}

// there tells whether the filter is, with its program.
func (f *filter) there() (bool, error) {
	filters, err := ingressFilters(f.handle, f.filter.LinkIndex)
	return slices.ContainsFunc(filters, func(one netlink.Filter) bool {
		bpf := ourFilter(one)
		return bpf != nil && bpf.Id == f.program && bpf.Priority == f.filter.Priority && bpf.Handle == f.filter.Handle
	}), err
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
