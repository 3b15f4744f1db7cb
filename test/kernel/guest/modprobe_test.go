package guest

import (
	"slices"
	"testing"
	"testing/fstest"
)

func TestModulesAreResolved(t *testing.T) {
	ms, err := readModules(fstest.MapFS{
		"modules.dep": {Data: []byte(`kernel/net/802/stp.ko: kernel/net/llc/llc.ko
kernel/net/llc/llc.ko:
kernel/net/bridge/bridge.ko: kernel/net/802/stp.ko kernel/net/llc/llc.ko
kernel/net/sched/sch_ingress.ko:
kernel/net/netfilter/nf-tables.ko:
`)},
		"modules.alias": {Data: []byte(`# Aliases extracted from modules themselves.
alias rtnl-link-bridge bridge
alias sch_clsact sch_ingress
alias net-pf-16-proto-12-type-* nf_tables
alias broken-[ bridge
`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	bridge := []string{"kernel/net/llc/llc.ko", "kernel/net/802/stp.ko", "kernel/net/bridge/bridge.ko"}
	for name, want := range map[string][]string{
		"bridge":                     bridge,
		"rtnl-link-bridge":           bridge,
		"sch_clsact":                 {"kernel/net/sched/sch_ingress.ko"},
		"sch-ingress":                {"kernel/net/sched/sch_ingress.ko"},
		"nf_tables":                  {"kernel/net/netfilter/nf-tables.ko"},
		"net-pf-16-proto-12-type-10": {"kernel/net/netfilter/nf-tables.ko"},
		"tcp_bbr":                    nil,
	} {
		if got := ms.resolve(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestModulesNeedTheirIndex(t *testing.T) {
	if _, err := readModules(fstest.MapFS{"modules.dep": {}}); err == nil {
		t.Error("no error without modules.alias")
	}
}
