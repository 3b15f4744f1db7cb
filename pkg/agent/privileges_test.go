package agent

import (
	"testing"

	"golang.org/x/sys/unix"
)

func TestKeptCapabilities(t *testing.T) {
	const all = 1<<(unix.CAP_LAST_CAP+1) - 1
	for _, test := range []struct {
		name            string
		permitted, want uint64
	}{
		{"root on a host", all, needed},
		{"a container of Engine 23.0", 1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_CHOWN,
			1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON | 1<<unix.CAP_NET_ADMIN},
		{"a container of Engine 20.10", 1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW | 1<<unix.CAP_DAC_OVERRIDE,
			1<<unix.CAP_SYS_ADMIN | 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_NET_RAW},
		{"no privileges", 0, 0},
	} {
		if got := kept(test.permitted); got != test.want {
			t.Errorf("%s: kept %#x, want %#x", test.name, got, test.want)
		}
	}
}
