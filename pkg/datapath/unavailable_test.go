package datapath

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

func TestExplain(t *testing.T) {
	const (
		bpf  = uint64(1) << unix.CAP_BPF
		net  = uint64(1) << unix.CAP_NET_ADMIN
		sys  = uint64(1) << unix.CAP_SYS_ADMIN
		perf = uint64(1) << unix.CAP_PERFMON
		all  = bpf | net | sys
	)
	for _, tt := range []struct {
		name            string
		err             error
		m               machine
		problem, remedy string
	}{
		{"no privileges", unix.EPERM, machine{kernel: "6.1.0"}, "missing capability BPF (SYS_ADMIN on Docker before 23.0), NET_ADMIN, PERFMON", "cap_add"},
		{"no PERFMON", &ebpf.VerifierError{Cause: unix.EACCES}, machine{kernel: "6.1.0", caps: bpf | net}, "missing capability PERFMON", "cap_add"},
		{"no NET_ADMIN", unix.EPERM, machine{kernel: "6.1.0", caps: bpf | perf}, "missing capability NET_ADMIN", "cap_add"},
		{"old Docker", unix.EPERM, machine{kernel: "6.1.0", caps: bpf | net | perf}, "although CAP_BPF", "SYS_ADMIN"},
		{"lockdown", unix.EPERM, machine{kernel: "6.1.0", caps: all}, "although the capabilities", "lockdown"},
		{"old kernel", unix.EINVAL, machine{kernel: "5.10.0-30-amd64", caps: all}, "5.10.0-30-amd64 is too old", "6.1"},
		{"no bpf", unix.ENOSYS, machine{kernel: "6.1.0", caps: all}, "no bpf system call", "CONFIG_BPF_SYSCALL"},
		{"memory", unix.ENOMEM, machine{kernel: "6.1.0", caps: all}, "not enough memory", "memory limit"},
		{"verifier", &ebpf.VerifierError{Cause: unix.EINVAL}, machine{kernel: "6.1.0", caps: all}, "verifier of kernel 6.1.0", "report"},
		{"unknown", errors.New("x"), machine{kernel: "6.1.0", caps: all}, "loading failed on kernel 6.1.0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := fmt.Errorf("load the program: %w", tt.err)
			e := explain(err, tt.m)
			if !strings.Contains(e.Problem, tt.problem) || !strings.Contains(e.Remedy, tt.remedy) {
				t.Errorf("%v", e)
			}
			if !errors.Is(e, tt.err) {
				t.Error("the cause is lost")
			}
		})
	}
}

func TestKernelVersions(t *testing.T) {
	for _, tt := range []struct {
		kernel string
		older  bool
	}{{"5.14.21", true}, {"5.15.0-generic", false}, {"6.1", false}, {"4.19.0", true}, {"odd", false}} {
		if got := (machine{kernel: tt.kernel}).older(5, 15); got != tt.older {
			t.Errorf("%s older than 5.15: %v", tt.kernel, got)
		}
	}
}

func TestOpenRefusesAnUnknownMode(t *testing.T) {
	_, err := Open(t.Context(), Options{Mode: "dpdk"})
	var e *UnavailableError
	if !errors.As(err, &e) || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%v", err)
	}
}
