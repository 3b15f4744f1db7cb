package stats

import (
	"net/netip"
	"strings"
	"testing"

	"waggle/pkg/pool"
)

// withListeners is the swarm with two addresses of its HTTP frontend counted one by one.
func withListeners() *Snapshot {
	s := swarm()
	fe := s.Proxies[0].Frontend
	first := fe.AddListener("sock-1", netip.MustParseAddrPort("0.0.0.0:80"), 0)
	second := fe.AddListener("inner", netip.MustParseAddrPort("10.0.0.1:81"), 2)
	first.Counters.Shard(1).Sessions.Add(5)
	first.Counters.Shard(1).DeniedReq.Add(2)
	second.Counters.Shard(1).BytesIn.Add(77)
	second.Sessions.Add(2)
	return s
}

func TestListenersHaveRows(t *testing.T) {
	before, s := swarm(), withListeners()
	sum := func(s *Snapshot) pool.Totals { return s.Proxies[0].Frontend.Counters.Sum() }
	if got := sum(s).Sessions - sum(before).Sessions; got != 5 {
		t.Errorf("the frontend has %d sessions of its listeners, want 5", got)
	}
	got := csvCells(t, string(Proxies(s, Plain, Filter{Legends: true, Scopes: Listeners})))
	id := s.Proxies[0].ID()
	for where, want := range map[string]string{
		place(Listeners, id, 1, "svname"): "sock-1", place(Listeners, id, 1, "stot"): "5", place(Listeners, id, 1, "dreq"): "2",
		place(Listeners, id, 1, "status"): "OPEN", place(Listeners, id, 1, "addr"): "0.0.0.0:80", place(Listeners, id, 1, "slim"): "0",
		place(Listeners, id, 2, "svname"): "inner", place(Listeners, id, 2, "bin"): "77", place(Listeners, id, 2, "scur"): "2",
		place(Listeners, id, 2, "smax"): "2", place(Listeners, id, 2, "status"): "FULL", place(Listeners, id, 2, "slim"): "2",
		place(Listeners, id, 2, "type"): "3",
	} {
		if got[where] != want {
			t.Errorf("%s is %q, want %q", where, got[where], want)
		}
	}
	page := string(get(s, statsProxy(), "/my-stats").Body)
	for _, want := range []string{"sock-1", "inner", "0.0.0.0:80"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	families := scrape(t, s, "/metrics")
	if v, ok := value(families, "haproxy_listener_sessions_total", "proxy=haproxyPractice", "listener=sock-1"); !ok || v != 5 {
		t.Errorf("haproxy_listener_sessions_total is %v (%v)", v, ok)
	}
	if v, ok := value(families, "haproxy_listener_status", "proxy=haproxyPractice", "listener=inner", "state=FULL"); !ok || v != 1 {
		t.Errorf("haproxy_listener_status of FULL is %v (%v)", v, ok)
	}
	s.Pool.ClearCounters()
	if n := s.Proxies[0].Frontend.Listeners[0].Counters.Sum().Sessions + sum(s).Sessions; n != 0 {
		t.Errorf("%d sessions after the counters were cleared", n)
	}
}
