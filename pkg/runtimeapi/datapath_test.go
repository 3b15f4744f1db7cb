package runtimeapi

import (
	"encoding/json"
	"strings"
	"testing"

	"waggle/pkg/pool"
	"waggle/pkg/stats"
)

// twoPaths has a frontend in the kernel besides that of balancer, with sessions on both paths.
func twoPaths() *stats.Snapshot {
	s := balancer()
	tcp := s.Pool.AddFrontend("tcp_in", pool.TCP, 100)
	tcp.SetPath(pool.Path{Kernel: true, Reason: "plain TCP"})
	s.Proxies = append(s.Proxies, stats.Proxy{Config: s.Proxies[0].Config, Frontend: tcp})
	s.Datapath = stats.Datapath{
		Mode:       "tc",
		Interfaces: []stats.Interface{{Name: "eth0", Attach: "tcx", WithoutXDP: "--datapath=tc"}},
		Degraded:   []string{"connections cannot be reset"},
		Reasons: []stats.Reason{
			{Name: "no_port", Text: "No source port.", Count: 3},
			{Name: "no_flow", Text: "No flow.", Count: 0, Expected: true},
		},
		Maps: []stats.MapUse{{Name: "wg_flows", Entries: 10, Max: 100}},
	}
	tcp.Counters.Shard(pool.KernelShard).Sessions.Add(7)
	tcp.Counters.Shard(1).Sessions.Add(2)
	return s
}

func TestShowDatapath(t *testing.T) {
	want := `# mode: tc
# attached to eth0 by tcx
# no XDP on eth0: --datapath=tc
# degraded: connections cannot be reset
# frontend  path       kernel now  total  userspace now  total  reason
in          userspace  0           0      0              0      userspace
tcp_in      kernel     0           7      0              2      plain TCP
# map     entries  room for
wg_flows  10       100
# packets  left or dropped for  normal  meaning
3          no_port              no      No source port.

`
	if got := ask(twoPaths(), User, "show datapath"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestShowDatapathAsJSON(t *testing.T) {
	var got struct {
		Mode      string
		Frontends []map[string]any
		Reasons   []map[string]any
	}
	if err := json.Unmarshal([]byte(ask(twoPaths(), User, "show datapath json")), &got); err != nil {
		t.Fatal(err)
	}
	if got.Mode != "tc" || len(got.Reasons) != 2 || len(got.Frontends) != 2 || got.Frontends[1]["kernel_sessions_total"] != 7.0 {
		t.Errorf("%+v", got)
	}
	// A script iterates over lists, so none of them is null when there is nothing.
	if text := ask(balancer(), User, "show datapath json"); strings.Contains(text, "null") {
		t.Errorf("null in %s", text)
	}
}

func TestShowExplain(t *testing.T) {
	for line, want := range map[string]string{
		"show explain":        "frontend in: userspace (userspace)\nfrontend tcp_in: kernel (plain TCP)\ninterface eth0: tcx (no XDP: --datapath=tc)\n\n",
		"show explain tcp_in": "frontend tcp_in: kernel (plain TCP)\n\n",
		"show explain nope":   "No such frontend.\n\n",
	} {
		if got := ask(twoPaths(), User, line); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
