package pool

import (
	"net/netip"
	"slices"
	"testing"
)

// followers is a backend of three servers that are found by "web".
func followers(t *testing.T) (*bench, []*Server, *Group) {
	t.Helper()
	b := newBench(t, BackendOptions{})
	g := b.template(3, nil)
	return b, g.Servers(), g
}

func records(addrs ...string) Resolution {
	r := Resolution{By: "docker/dns1"}
	for _, a := range addrs {
		r.Records = append(r.Records, Record{Addr: netip.MustParseAddr(a)})
	}
	return r
}

// at is where servers are.
func at(servers []*Server) (addrs []string) {
	for _, s := range servers {
		addrs = append(addrs, s.View().Addr.Addr().String())
	}
	return addrs
}

func wantAt(t *testing.T, servers []*Server, want ...string) {
	t.Helper()
	if got := at(servers); !slices.Equal(got, want) {
		t.Errorf("servers are at %v, want %v", got, want)
	}
}

func TestAServerFollowsAnotherName(t *testing.T) {
	b, servers, web := followers(t)
	web.Resolve(records("10.0.0.1", "10.0.0.2", "10.0.0.3"))
	second := servers[1]
	db, left := second.Follow("db", nil, "stats socket command")
	if left != web || db.FQDN != "db" || len(b.Groups()) != 2 || second.View().FQDN != "db" || second.FQDN != "web" {
		t.Fatalf("left %v, now %+v, groups %d", left, db, len(b.Groups()))
	}
	wantAt(t, servers, "10.0.0.1", "10.0.0.2", "10.0.0.3") // until db is known
	web.Resolve(records("10.0.0.1", "10.0.0.3", "10.0.0.4"))
	db.Resolve(records("10.0.9.9"))
	wantAt(t, servers, "10.0.0.1", "10.0.9.9", "10.0.0.3")
	if n := len(web.Surplus()); n != 1 {
		t.Errorf("%d tasks of web have no slot", n)
	}

	first := servers[0]
	if now, _ := first.Follow("db", db, ""); now != db || !slices.Equal(db.Servers(), servers[:2]) {
		t.Errorf("the group of db is %v", db.Servers())
	}
	if now, left := first.Follow("db", db, ""); now != db || left != db || len(db.Servers()) != 2 {
		t.Error("following the same name again is something")
	}
	first.Follow("web", web, "")
	if _, left := second.Follow("web", web, ""); left != db || len(b.Groups()) != 1 || second.View().FQDN != "web" || !slices.Equal(web.Servers(), servers) {
		t.Errorf("back again: left %v, groups %v, web %v", left, b.Groups(), web.Servers())
	}
}

// A reload keeps the name while the configuration names the one that it named before.
func TestTakeOverKeepsTheOperatorsName(t *testing.T) {
	for _, tc := range []struct{ configured, want string }{{"web", "db"}, {"other", "other"}} {
		b, servers, _ := followers(t)
		servers[0].Follow("db", nil, "")
		line := options("s1", "0.0.0.0:80", func(o *ServerOptions) { o.FQDN, o.Addr = tc.configured, netip.AddrPortFrom(netip.Addr{}, 80) })
		line.Name = servers[0].Name
		p, _ := b.reloaded(line)
		if got := p.Backend("be").Servers()[0].View().FQDN; got != tc.want {
			t.Errorf("configured as %s: it is found by %s, want %s", tc.configured, got, tc.want)
		}
	}
}
