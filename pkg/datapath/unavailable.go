package datapath

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// UnavailableError is why the kernel path cannot work here, with what the operator can do about it.
type UnavailableError struct {
	// Problem and Remedy are each one sentence, without a full stop.
	Problem, Remedy string
	// Err is the cause as the kernel gave it; a *ebpf.VerifierError in it prints the verifier's log with %+v.
	Err error
	// Log is the file with all that the verifier said; empty if it said nothing, or there was no place to keep it.
	Log string
	// InUse tells that another process has the pins: it may be tried again.
	InUse bool
}

func (e *UnavailableError) Error() string {
	s := "kernel path unavailable: " + e.Problem
	if e.Remedy != "" {
		s += " (" + e.Remedy + ")"
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Log != "" {
		s += "; the verifier's whole log is in " + e.Log
	}
	return s
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// keepLog writes what the verifier said to a file in dir: it is far too long for a line of a log.
func (e *UnavailableError) keepLog(dir string) {
	var verifier *ebpf.VerifierError
	if !errors.As(e.Err, &verifier) {
		return
	}
	f, err := os.CreateTemp(dir, "waggle-verifier-*.log")
	if err != nil { // a read-only image without a writable directory: the last lines are in the error
		return
	}
	_, err = fmt.Fprintf(f, "%+v\n", verifier)
	if err = errors.Join(err, f.Close()); err == nil {
		e.Log = f.Name()
	}
}

// machine is what the diagnosis looks at.
type machine struct {
	kernel string // uname -r
	caps   uint64 // effective capabilities
}

func thisMachine() machine {
	var m machine
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.kernel = unix.ByteSliceToString(u.Release[:])
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) == nil {
		m.caps = uint64(data[0].Effective) | uint64(data[1].Effective)<<32
	}
	return m
}

func (m machine) has(capability int) bool { return m.caps>>capability&1 != 0 }

// missing names the capabilities that are lacking. SYS_ADMIN stands for BPF and PERFMON, which Docker before 23.0 does
// not know. Without PERFMON the verifier applies its rules for unprivileged programs, which ours does not pass.
func (m machine) missing() []string {
	var names []string
	if !m.has(unix.CAP_BPF) && !m.has(unix.CAP_SYS_ADMIN) {
		names = append(names, "BPF (SYS_ADMIN on Docker before 23.0)")
	}
	if !m.has(unix.CAP_NET_ADMIN) {
		names = append(names, "NET_ADMIN")
	}
	if !m.has(unix.CAP_PERFMON) && !m.has(unix.CAP_SYS_ADMIN) {
		names = append(names, "PERFMON")
	}
	return names
}

// older tells whether the kernel is older than major.minor. A version that cannot be read is taken for new.
func (m machine) older(major, minor int) bool {
	var a, b int
	if _, err := fmt.Sscanf(m.kernel, "%d.%d", &a, &b); err != nil {
		return false
	}
	return a < major || a == major && b < minor
}

// explain finds out why err came. It looks only after a failure, so that a capability or version that turns out not to
// matter never stands in the way.
func explain(err error, m machine) *UnavailableError {
	e := &UnavailableError{Err: err}
	var verifier *ebpf.VerifierError
	missing := m.missing()
	switch {
	case errors.Is(err, unix.ENOSYS):
		e.Problem = "the kernel has no bpf system call"
		e.Remedy = "use a kernel with CONFIG_BPF_SYSCALL, 6.1 or newer"
	case len(missing) > 0:
		e.Problem = "missing capability " + strings.Join(missing, ", ")
		e.Remedy = "add cap_add: [BPF, NET_ADMIN, PERFMON, NET_RAW]; on Docker before 23.0 [SYS_ADMIN, NET_ADMIN, NET_RAW]"
	case m.older(6, 1):
		e.Problem = "kernel " + m.kernel + " is too old"
		e.Remedy = "use 6.1 or newer"
	case errors.Is(err, unix.EPERM) && !m.has(unix.CAP_SYS_ADMIN):
		e.Problem = "the kernel refuses bpf although CAP_BPF is there"
		e.Remedy = "Docker's seccomp profile before 23.0 wants SYS_ADMIN: add it, or update the engine"
	case errors.Is(err, unix.EPERM):
		e.Problem = "the kernel refuses bpf although the capabilities are there"
		e.Remedy = "look for a seccomp profile, an LSM, or lockdown=confidentiality"
	case errors.Is(err, unix.ENOMEM):
		e.Problem = "not enough memory for the maps"
		e.Remedy = "raise the container's memory limit; the maps need about 16 MiB before the first flow"
	case errors.As(err, &verifier):
		e.Problem = "the verifier of kernel " + m.kernel + " does not accept the program"
		e.Remedy = "please report it with the log"
	default:
		e.Problem = "loading failed on kernel " + m.kernel
	}
	return e
}
