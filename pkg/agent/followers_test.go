package agent

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"waggle/pkg/datapath"
	"waggle/pkg/pool"
)

// TestServersOfOneNameShareItsAddresses: lines that follow one name are as the slots of a template, unless they ask
// for duplicates.
func TestServersOfOneNameShareItsAddresses(t *testing.T) {
	addrs := []netip.Addr{netip.MustParseAddr("10.0.1.3"), netip.MustParseAddr("10.0.1.4")}
	for _, tc := range []struct {
		lines, start, resolved string
	}{
		{"server a web:80 resolvers d\n server b web:80 resolvers d", "a 10.0.1.3:80, b 10.0.1.4:80", "a 10.0.1.3:80, b 10.0.1.4:80"},
		{"server a web:80 resolvers d\n server b web:81 resolvers d", "a 10.0.1.3:80, b 10.0.1.3:81", "a 10.0.1.3:80, b 10.0.1.3:81"},
		{"server a web:80 resolvers d resolve-opts allow-dup-ip\n server b web:80 resolvers d resolve-opts allow-dup-ip",
			"a 10.0.1.3:80, b 10.0.1.3:80", "a 10.0.1.3:80, b 10.0.1.3:80"},
		{"server a web:80 resolvers d init-addr none\n server-template b 1 web:80 resolvers d init-addr none", "a -, b1 -", "a 10.0.1.3:80, b1 10.0.1.4:80"},
		{"server a web:80 resolvers d init-addr 10.9.9.9\n server b web:80 resolvers d init-addr 10.9.9.9", "a 10.9.9.9:80, b 10.9.9.9:80", "a 10.0.1.3:80, b 10.0.1.4:80"},
	} {
		cfg := parse(t, "resolvers d\n nameserver d 127.0.0.11:53\nbackend be\n timeout connect 1s\n timeout server 1s\n "+tc.lines+"\n")
		b, err := build(cfg, 1, 10, map[string][]netip.Addr{"web": addrs}, nil, datapath.Identities{})
		if err != nil {
			t.Fatal(err)
		}
		if got := addresses(b.pool); got != tc.start {
			t.Errorf("%s\nstart with %s, want %s", tc.lines, got, tc.start)
		}
		for _, g := range b.groups {
			g.group.Resolve(pool.Resolution{Records: []pool.Record{{Addr: addrs[0]}, {Addr: addrs[1]}}})
		}
		if got := addresses(b.pool); got != tc.resolved {
			t.Errorf("%s\nare resolved to %s, want %s", tc.lines, got, tc.resolved)
		}
	}
}

func addresses(p *pool.Pool) string {
	var all []string
	for _, s := range p.Backends[0].Servers() {
		addr := "-"
		if a := s.View().Addr; a.IsValid() && a.Addr().IsValid() {
			addr = a.String()
		}
		all = append(all, s.Name+" "+addr)
	}
	return strings.Join(all, ", ")
}

// TestNamesThatLookAlikeAreTwo: a name that ends in a digit and its port read like another name and another port.
func TestNamesThatLookAlikeAreTwo(t *testing.T) {
	cfg := parse(t, "resolvers d\n nameserver d 127.0.0.11:53\nbackend be\n timeout connect 1s\n timeout server 1s\n"+
		" server a app:18080 resolvers d init-addr none\n server b app1:8080 resolvers d init-addr none\n")
	b, err := build(cfg, 1, 10, nil, nil, datapath.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range b.groups {
		names = append(names, fmt.Sprintf("%s: %d", g.group.FQDN, len(g.group.Servers())))
	}
	if got := strings.Join(names, ", "); got != "app: 1, app1: 1" {
		t.Errorf("names that are followed, and by how many servers: %s", got)
	}
}

// TestWireOfUnchangedLines: what is said about connections to a server is the same for every time that a file is read.
func TestWireOfUnchangedLines(t *testing.T) {
	wires := func(line string) string {
		cfg := parse(t, "backend be\n mode http\n timeout connect 1s\n timeout server 1s\n server a 10.0.0.1:443 ssl verify none "+line+"\n")
		b, err := build(cfg, 1, 10, nil, nil, datapath.Identities{})
		if err != nil {
			t.Fatal(err)
		}
		return b.pool.Backends[0].Servers()[0].Wire
	}
	if first, again := wires("sni str(web.test)"), wires("sni str(web.test)"); first != again {
		t.Error("the same line differs from itself, so that a reload closes every kept connection")
	}
	if wires("sni str(web.test)") == wires("sni str(www.test)") {
		t.Error("another SNI makes no difference")
	}
	if wires("check weight 3") != wires("") {
		t.Error("what connections do not go by makes a difference")
	}
}

// The numbers are those that HAProxy 2.6 was seen to give.
func TestNumbersThatAreAskedFor(t *testing.T) {
	cfg := parse(t, `
defaults
 timeout connect 1s
 timeout client 1s
 timeout server 1s
listen one
 bind :1
 id 3
 server a 10.0.0.1:80
 server b 10.0.0.2:80 id 1
 server-template c 2 10.0.0.3:80 id 7
 server d 10.0.0.4:80
frontend two
 bind :2
backend three
frontend four
 bind :4
 id 2
`)
	b, err := build(cfg, 1, 10, nil, nil, datapath.Identities{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range b.pool.Frontends {
		got = append(got, fmt.Sprint(f.Name, " ", f.ID))
	}
	for _, be := range b.pool.Backends {
		got = append(got, fmt.Sprint(be.Name, " ", be.ID))
		for _, s := range be.Servers() {
			got = append(got, fmt.Sprint(s.Name, " ", s.ID))
		}
	}
	want := "one 3, two 4, four 2, one 3, a 2, b 1, c1 7, c2 5, d 6, three 5"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}
