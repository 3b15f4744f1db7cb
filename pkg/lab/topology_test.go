package lab_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
)

// mtus lists the interfaces of a host, without the loopback.
func mtus(t *testing.T, h *lab.Host) map[string]int {
	t.Helper()
	found := make(map[string]int)
	err := h.Do(func() error {
		links, err := netlink.LinkList()
		for _, link := range links {
			if a := link.Attrs(); a.Flags&net.FlagLoopback == 0 {
				found[a.Name] = a.MTU
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestLegsAreThoseOfASwarmService(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 1})
	for _, c := range []struct {
		host *lab.Host
		want map[string]int
	}{
		{l.Balancer.Host, map[string]int{"eth0": 1450, "eth1": 1500}},
		{l.Tasks("web")[0].Host, map[string]int{"eth0": 1450}},
		{l.Client, map[string]int{"eth0": 1500}},
		{l.Node, map[string]int{"client": 1500, "balancer": 1500, "docker_gwbridge": 1500}},
		{l.Overlay, map[string]int{"br0": 1450, "balancer": 1450, "task3": 1450}},
	} {
		if got := mtus(t, c.host); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: interfaces %v, want %v", c.host.Name(), got, c.want)
		}
	}
}

func TestDefaultRouteOfTheBalancerIsTheNode(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	err := l.Balancer.Do(func() error {
		routes, err := netlink.RouteGet(net.ParseIP("203.0.113.9"))
		if err != nil {
			return err
		}
		if len(routes) != 1 || routes[0].Gw.String() != "172.18.0.1" {
			t.Errorf("got %v, want the way over 172.18.0.1", routes)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBalancerDoesNotForward(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	host, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
	if err != nil {
		t.Fatal(err)
	}
	for h, want := range map[*lab.Host]string{l.Balancer.Host: "0\n", l.Node: "1\n"} {
		err := h.Do(func() error {
			got, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
			if string(got) != want {
				t.Errorf("%s: ip_forward is %q, want %q", h.Name(), got, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if after, _ := os.ReadFile("/proc/sys/net/ipv4/ip_forward"); string(after) != string(host) {
		t.Errorf("the lab changed the host's ip_forward from %q to %q", host, after)
	}
}

func TestClientReachesBalancerFromElsewhere(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	ln, err := l.Balancer.Listen("tcp4", ":8001")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := l.Client.DialContext(labtest.Context(t), "tcp4", l.Balancer.Endpoint(8001))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	if from, _, _ := net.SplitHostPort(accepted.RemoteAddr().String()); from != l.Client.Addr().String() {
		t.Errorf("the balancer sees %s, want the client's own address %s", from, l.Client.Addr())
	}
}

// TestTaskCannotReachTheClient: the way back to the client leads through the balancer only, so a balancer
// that forwards with the client's source address does not work here, as it does not in Swarm.
func TestTaskCannotReachTheClient(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 1})
	_, err := l.Tasks("web")[0].DialContext(labtest.Context(t), "tcp4", l.Client.Addr().String()+":80")
	if err == nil || !strings.Contains(err.Error(), "network is unreachable") {
		t.Errorf("got %v, want network is unreachable", err)
	}
}

func TestTasksSeeTheBalancersOverlayAddress(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	task, err := l.AddTask(labtest.Context(t), lab.TaskOptions{Kind: lab.TCP})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := l.Balancer.DialContext(labtest.Context(t), "tcp4", task.Endpoint().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if local, _, _ := net.SplitHostPort(conn.LocalAddr().String()); local != l.Balancer.OverlayAddr().String() {
		t.Errorf("dialled from %s, want %s", local, l.Balancer.OverlayAddr())
	}
	fmt.Fprintln(conn, "hostname")
	if got, _ := io.ReadAll(conn); string(got) != "hostname: web-1\n" {
		t.Errorf("got %q", got)
	}
}

func TestDialTakesNoNames(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	if conn, err := l.Client.DialContext(labtest.Context(t), "tcp4", "localhost:80"); err == nil {
		_ = conn.Close()
		t.Error("a name was dialled, which the host's resolver would have looked up")
	}
}
