package lab_test

import (
	"fmt"
	"testing"
	"time"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
)

// TestTrafficThroughABalancer sends what tests of waggle send through HAProxy instead: the lab's own share of
// such a test is right.
func TestTrafficThroughABalancer(t *testing.T) {
	haproxy := require.Tool(t, "haproxy")
	l := labtest.New(t, lab.Options{Tasks: 3, Kind: lab.TCP})
	config := `
defaults
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    mode tcp
resolvers docker
    nameserver dns1 127.0.0.11:53
    accepted_payload_size 8192
listen tcp
    bind *:8001
    balance roundrobin
    server-template web- 3 tasks.web:8000 resolvers docker init-addr libc
`
	_, err := l.Balancer.Start(labtest.Context(t), lab.Command{
		Argv:  []string{haproxy, "-W", "-db", "-f", lab.FilesDir + "/haproxy.cfg"},
		Files: map[string][]byte{"haproxy.cfg": []byte(config)},
	})
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Balancer.Endpoint(8001)
	labtest.AwaitListening(t, l.Client, addr)
	labtest.Eventually(t, time.Minute, "all three tasks are found", func() error { // libc gives all servers the same one
		if found := labtest.TCPShares(t, l.Client, addr, 6); len(found) != 3 {
			return fmt.Errorf("connections are shared by %v", found)
		}
		return nil
	})

	const n = 10 << 20
	labtest.Download(t, l.Client, addr, n)
	labtest.Upload(t, l.Client, addr, n)
	total := 0
	for name, count := range labtest.TCPShares(t, l.Client, addr, 300) {
		if count < 90 || count > 110 { // HAProxy's threads each have a part of the cursor
			t.Errorf("%s got %d of 300 connections", name, count)
		}
		total += count
	}
	if total != 300 {
		t.Errorf("%d connections were served, want 300", total)
	}
}

func TestHTTPSharesOfOneTask(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 1})
	got := labtest.HTTPShares(t, l.Balancer.Host, l.Tasks("web")[0].Endpoint().String(), 20)
	if len(got) != 1 || got["web-1"] != 20 {
		t.Errorf("got %v", got)
	}
}
