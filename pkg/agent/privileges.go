package agent

import (
	"errors"
	"fmt"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// needed are the capabilities that are used after the start: to load and attach programs (a copy for `waggle
// trace`, a new one at a reload), to follow routes and neighbours, to reset connections, to bind low ports
// at a reload.
const needed = 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_NET_BIND_SERVICE

// kept is what of the permitted capabilities stays. SYS_ADMIN stays only where it stands for BPF, as with Docker
// Engine before 23.0, whose containers cannot have BPF.
func kept(permitted uint64) uint64 {
	if permitted&(1<<unix.CAP_BPF) == 0 {
		return permitted & (needed | 1<<unix.CAP_SYS_ADMIN)
	}
	return permitted & needed
}

// DropPrivileges gives up, for good and on all threads, the capabilities that a running balancer does not use, and
// whatever an exec could bring. It belongs behind New, which opens the log targets, binds the listeners and reads
// files as the user that it was started as. What is opened later, as at a reload, is opened without them:
// root without DAC_OVERRIDE is still the owner of root's files. The error is [syscall.ENOTSUP] in a program
// that was built with cgo, whose threads the Go runtime does not know.
func DropPrivileges() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	keep := kept(uint64(sets[1].Permitted)<<32 | uint64(sets[0].Permitted))
	for capability := range uintptr(unix.CAP_LAST_CAP + 1) {
		if keep>>capability&1 == 0 {
			// Without SETPCAP the bounding set stays; nothing can be had from it with no_new_privs.
			if err := onAllThreads(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, capability, 0); err != nil && !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EINVAL) {
				return fmt.Errorf("bound capabilities: %w", err)
			}
		}
	}
	if err := onAllThreads(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	for i := range sets {
		part := uint32(keep >> (32 * i))
		sets[i] = unix.CapUserData{Effective: part, Permitted: part}
	}
	if err := onAllThreads(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&sets[0])), 0); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// onAllThreads makes a system call on each thread of the process, those to come included: they inherit.
// What pointers among the arguments point to is kept where it is until it returns.
//
//go:uintptrescapes
func onAllThreads(trap, a1, a2, a3 uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(trap, a1, a2, a3, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
