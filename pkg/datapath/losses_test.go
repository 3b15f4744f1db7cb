package datapath

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// losses are all counters of the machine that tell where a packet was lost or refused, by the place and their name.
type losses map[string]uint64

// lossesOf reads those of the machine, of the rooms by name, and of the kernel path.
func lossesOf(t testing.TB, dp *Datapath, rooms map[string]*room) losses {
	t.Helper()
	all := make(losses)
	all.softnet(t)
	for name, n := range dp.Counters().Reasons {
		all["reason "+name] = n
	}
	for name, r := range rooms {
		r.must(t, "read the counters of "+name, func() error {
			for _, file := range []string{"snmp", "netstat"} {
				if err := all.protocols(name, file); err != nil {
					return err
				}
			}
			return all.interfaces(name)
		})
	}
	return all
}

// softnet reads what the CPUs' queues of received packets have dropped.
func (l losses) softnet(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile("/proc/net/softnet_stat")
	if err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		for i, name := range map[int]string{1: "dropped", 2: "squeezed"} {
			n, err := strconv.ParseUint(fields[i], 16, 64)
			if err != nil {
				t.Fatal(err)
			}
			l[fmt.Sprintf("CPU %d %s", cpu, name)] = n
		}
		cpu++
	}
}

// protocols reads the counters of the calling thread's namespace that are about loss, in a file that has pairs of lines: names and numbers.
func (l losses) protocols(place, file string) error {
	text, err := os.ReadFile("/proc/thread-self/net/" + file)
	if err != nil {
		return err
	}
	lines := strings.Split(string(text), "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		names, numbers := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		if len(names) == 0 || names[0] != "Tcp:" && names[0] != "TcpExt:" && names[0] != "Ip:" {
			continue
		}
		for j := 1; j < len(names); j++ {
			if n, err := strconv.ParseUint(numbers[j], 10, 64); err == nil && n > 0 && !slices.Contains(daily, names[j]) {
				l[place+" "+names[j]] = n
			}
		}
	}
	return nil
}

// daily are counters that say nothing of loss.
var daily = []string{"Forwarding", "DefaultTTL", "RtoAlgorithm", "RtoMin", "RtoMax", "MaxConn", "CurrEstab", "InReceives", "InDelivers", "OutRequests",
	"OutTransmits", "ActiveOpens", "PassiveOpens", "InSegs", "OutSegs", "TW", "TCPHPHits", "TCPHPAcks", "TCPPureAcks", "TCPOrigDataSent", "TCPDelivered",
	"DelayedACKs", "TCPAutoCorking", "TCPKeepAlive"}

// interfaces reads what the interfaces of the calling thread's namespace have dropped.
func (l losses) interfaces(place string) error {
	links, err := netlink.LinkList()
	for _, link := range links {
		if a := link.Attrs(); a.Statistics != nil {
			l[place+" "+a.Name+" rx dropped"] = a.Statistics.RxDropped + a.Statistics.RxErrors
			l[place+" "+a.Name+" tx dropped"] = a.Statistics.TxDropped + a.Statistics.TxErrors
		}
	}
	return err
}

// since lists what has grown, one a line.
func (l losses) since(before losses) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(l)) {
		if n := l[name] - before[name]; n != 0 {
			fmt.Fprintf(&b, "\n  %-40s %d", name, n)
		}
	}
	return b.String()
}
