package datapath

import (
	"net/netip"
	"strings"
	"testing"
)

func testPlanner() planner {
	return planner{gauges: newIndices[gaugeKey]("gauges", 50), counters: newIndices[pair]("counters", 100), targets: newTargets(make([]lbWgTarget, 100), make([]lbWgOwnMac, 3)), ways: newWays(make([]lbWgWay, 10))}
}

func testView() view {
	return view{
		links: []link{{index: 3, name: "eth0", mtu: 1450}},
		addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")},
		route: func(to netip.Addr) (route, bool) {
			if to == netip.MustParseAddr("203.0.113.9") { // beyond a gateway
				return route{ifindex: 3, source: netip.MustParseAddr("198.51.100.1"), nexthop: netip.MustParseAddr("198.51.100.254")}, true
			}
			if to == netip.MustParseAddr("203.0.113.10") { // behind an interface without the program
				return route{ifindex: 9, source: netip.MustParseAddr("10.0.0.1"), nexthop: to}, true
			}
			return route{ifindex: 3, source: netip.MustParseAddr("198.51.100.1"), nexthop: to}, to.String() != unroutable
		},
	}
}

func TestPlanOfAWildcard(t *testing.T) {
	p := testPlanner()
	explicit := Service{ID: 2, Name: "one", Binds: binds("192.0.2.1:80")}
	wildcard := Service{ID: 1, Name: "all", Binds: binds("0.0.0.0:80"), Queued: true, Limit: 9}
	for _, services := range [][]Service{{explicit, wildcard}, {wildcard, explicit}} {
		got, err := p.plan(Desired{Services: services}, testView())
		if err != nil {
			t.Fatal(err)
		}
		if len(got.services) != 2 {
			t.Errorf("%d services, want one for each address", len(got.services))
		}
		one := got.services[lbWgServiceKey{Addr: addr16("192.0.2.1"), Port: 80}]
		if one.Id != 2 {
			t.Errorf("192.0.2.1 belongs to service %d, want the explicit bind", one.Id)
		}
		rest := got.services[lbWgServiceKey{Addr: addr16("198.51.100.1"), Port: 80}]
		if rest.Id != 1 || got.limits[rest.Gauge] != 9 || rest.Flags != lbWgServiceFlagWG_QUEUED {
			t.Errorf("198.51.100.1 has %+v", rest)
		}
	}
}

// A wildcard takes no connection that a more explicit socket would get without the kernel path, nor one that an equal
// socket could get.
func TestPlanLeavesToSocketsWhatIsTheirs(t *testing.T) {
	p, local := testPlanner(), []string{"192.0.2.1", "198.51.100.1"}
	all := Service{ID: 1, Name: "all", Binds: binds("0.0.0.0:80")}
	six := Service{ID: 2, Name: "six", Binds: binds("192.0.2.1:80"), Servers: []Server{{ID: 5, Addr: ap("[2001:db8::9]:80")}}}
	for _, tt := range []struct {
		name    string
		desired Desired
		want    []uint32 // services at local
	}{
		{"another port", Desired{Services: []Service{all}, Sockets: binds("192.0.2.1:81")}, []uint32{1, 1}},
		{"a socket of one address", Desired{Services: []Service{all}, Sockets: binds("192.0.2.1:80")}, []uint32{0, 1}},
		{"an equal socket", Desired{Services: []Service{all}, Sockets: binds("0.0.0.0:80")}, []uint32{0, 0}},
		{"a wider socket", Desired{Services: []Service{all}, Sockets: binds("[::]:80")}, []uint32{1, 1}},
		{"a service whose servers are of another family", Desired{Services: []Service{all, six}}, []uint32{0, 1}},
	} {
		got, err := p.plan(tt.desired, testView())
		if err != nil {
			t.Fatal(err)
		}
		for i, addr := range local {
			if s, ok := got.services[lbWgServiceKey{Addr: addr16(addr), Port: 80}]; s.Id != tt.want[i] || ok != (tt.want[i] != 0) {
				t.Errorf("%s: %s belongs to service %d (%t), want %d", tt.name, addr, s.Id, ok, tt.want[i])
			}
		}
	}
}

func TestPlanOfServers(t *testing.T) {
	for _, tt := range []struct {
		addr    string
		state   lbWgServerState
		nexthop string
	}{
		{"198.51.100.11", lbWgServerStateWG_SERVER_READY, "198.51.100.11"},
		{"203.0.113.9", lbWgServerStateWG_SERVER_READY, "198.51.100.254"},
		{"203.0.113.10", lbWgServerStateWG_SERVER_NO_ROUTE, ""},
		{unroutable, lbWgServerStateWG_SERVER_NO_ROUTE, ""},
	} {
		p := testPlanner()
		d := Desired{Services: []Service{{ID: 1, Binds: binds("192.0.2.1:80"), Schedule: []uint32{5},
			Servers: []Server{{ID: 5, Name: "task", Addr: ap(tt.addr + ":9000"), Limit: 3}}}}}
		got, err := p.plan(d, testView())
		if err != nil {
			t.Fatal(err)
		}
		v := got.servers[5]
		slot, target := got.schedules[1].slots[0], p.targets.mem[v.Target]
		if v.State != tt.state || v.Port != 9000 || got.limits[v.Gauge] != 3 {
			t.Errorf("%s: %+v", tt.addr, v)
		}
		if slot.target != v.Target || uint32(slot.target)%uint32(len(p.targets.mem)/2) != v.Gauge || target.Server != 5 || target.Addr != v.Addr || target.Port != v.Port ||
			target.Ifindex != v.Ifindex || uint32(target.Sources) != v.Sources || target.Source != v.Source[0] {
			t.Errorf("%s: slot %+v to %+v for %+v", tt.addr, slot, target, v)
		}
		nexthop := ""
		if target.Way != 0 {
			nexthop = netip.AddrFrom16(p.ways.mem[target.Way%wayMax].Nexthop).Unmap().String()
		}
		if nexthop != tt.nexthop {
			t.Errorf("%s: by way of %q, want %q", tt.addr, nexthop, tt.nexthop)
		}
		if ready := tt.state == lbWgServerStateWG_SERVER_READY; ready != (len(got.degraded) == 0) {
			t.Errorf("%s: degraded %q", tt.addr, got.degraded)
		}
	}
}

func TestPlanKeepsIndices(t *testing.T) {
	p := testPlanner()
	d := oneService(3)
	first, err := p.plan(d, testView())
	if err != nil {
		t.Fatal(err)
	}
	d.Services[0].Servers = d.Services[0].Servers[1:]
	d.Services[0].Schedule = []uint32{103, 102}
	second, err := p.plan(d, testView())
	if err != nil {
		t.Fatal(err)
	}
	if first.servers[102] != second.servers[102] {
		t.Errorf("server 102 was %+v, is %+v", first.servers[102], second.servers[102])
	}
	if slots := second.schedules[7].slots; len(slots) != 2 || slots[0] != first.schedules[7].slots[2] {
		t.Errorf("schedule %v, was %v", slots, first.schedules[7])
	}
}

func TestPlanWithoutRoom(t *testing.T) {
	p := testPlanner()
	p.gauges = newIndices[gaugeKey]("wg_gauges", 3)
	d := oneService(2)
	d.Services = append([]Service{{ID: 1, Name: "other", Binds: binds("192.0.2.1:81")}}, d.Services...)
	got, err := p.plan(d, testView())
	if err == nil || !strings.Contains(err.Error(), "service 7: wg_gauges is full") {
		t.Errorf("error %v", err)
	}
	// The others are planned all the same.
	if len(got.services) != 1 || len(got.schedules) != 1 || got.services[lbWgServiceKey{Addr: addr16("192.0.2.1"), Port: 81}].Id != 1 {
		t.Errorf("services %v, schedules %v", got.services, got.schedules)
	}
}

func TestIndices(t *testing.T) {
	x := newIndices[string]("x", 3)
	a, _ := x.get("a")
	b, _ := x.get("b")
	if a == 0 || b == 0 || a == b {
		t.Fatalf("a %d, b %d", a, b)
	}
	if again, _ := x.get("a"); again != a {
		t.Errorf("a moved from %d to %d", a, again)
	}
	if _, err := x.get("c"); err == nil {
		t.Error("there was room for a third")
	}
	x.put("a")
	if c, err := x.get("c"); err != nil || c != a {
		t.Errorf("c has %d, %v; want %d, which a gave back", c, err, a)
	}
}

func TestValidate(t *testing.T) {
	good := oneService(1).Services[0]
	other := good
	other.ID = 8
	change := func(f func(*Service)) Desired {
		s := good
		s.Servers = append([]Server(nil), good.Servers...)
		f(&s)
		return Desired{Services: []Service{s}}
	}
	for _, tt := range []struct {
		want string // part of the error; empty for none
		d    Desired
	}{
		{"", change(func(*Service) {})},
		{"id is zero", change(func(s *Service) { s.ID = 0 })},
		{"bind [::ffff:192.0.2.1]:80: not an address", change(func(s *Service) { s.Binds = binds("[::ffff:192.0.2.1]:80") })},
		{"no bind", change(func(s *Service) { s.Binds = nil })},
		{"0 draws: 1 to 16", change(func(s *Service) { s.Algorithm = Random })},
		{"17 draws: 1 to 16", change(func(s *Service) { s.Algorithm, s.Draws = Random, 17 })},
		{"at most 1024", change(func(s *Service) { s.Algorithm, s.Schedule = LeastConn, make([]uint32, MaxScan+1) })},
		{"at most 16384", change(func(s *Service) { s.Schedule = make([]uint32, MaxSchedule+1) })},
		{"schedule names server 5, which", change(func(s *Service) { s.Schedule = []uint32{5} })},
		{"server 101: invalid AddrPort: not an address", change(func(s *Service) { s.Servers[0].Addr = netip.AddrPort{} })},
		{`server "task0": id is zero`, change(func(s *Service) { s.Servers[0].ID = 0 })},
		{"", change(func(s *Service) { s.Binds = append(s.Binds[:1:1], s.Binds...) })},
		{"service 7 has it", Desired{Services: []Service{good, other}}},
	} {
		err := tt.d.validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}
