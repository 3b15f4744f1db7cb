package runtimeapi

import (
	"net/netip"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// insideOf is two loops, the second with descriptors of the process that runs the test.
func insideOf(fd int) func() ([]Loop, error) {
	return func() ([]Loop, error) {
		return []Loop{
			{Counters: []Counter{{"loops", 3}, {"accepted", 1}}, Stores: []Store{{"buffer", 16384, 1, 2}}},
			{Counters: []Counter{{"loops", 4}, {"accepted", 0}}, Stores: []Store{{"buffer", 16384, 0, 1}},
				Files: []File{{FD: fd, Kind: "listener", Frontend: "in", Local: netip.MustParseAddrPort("[::1]:8000"), Paused: true}}},
		}, nil
	}
}

func TestInside(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fd := int(f.Fd())
	s := New(fixed{balancer()}, Options{Loops: insideOf(fd)})
	c := &session{server: s, level: Operator}
	for _, tc := range []struct {
		name string
		run  func(*session, []string) string
		args []string
		want string // a regular expression for all of it
	}{
		{"activity", showActivity, nil, `thread_id: 2 \(1\.\.2\)\ndate_now: \d+\.\d{6}\nloops: 7 \[ 3 4 \]\naccepted: 1 \[ 1 0 \]\n`},
		{"pools", showPools, nil, `Dumping pools usage\.\n  - Pool buffer \(16384 bytes\) : 4 allocated \(65536 bytes\), 4 used \(~3 by thread caches\), 0 failures, 2 users\n` +
			`Total: 1 pools, 65536 bytes allocated, 65536 used \(~49152 by thread caches\)\.\nGo runtime: .*\n`},
		{"one descriptor", showFD, []string{strconv.Itoa(fd)}, ` +` + strconv.Itoa(fd) + ` : loop=2 l\.st=FUL fe=in fam=ipv6 lport=8000\n`},
		{"another one", showFD, []string{"0"}, ` +0 : what=\S+\n`},
		{"none", showFD, []string{"999999"}, ``},
		{"no number", showFD, []string{"x"}, `Invalid file descriptor\.\n`},
	} {
		if got := tc.run(c, tc.args); !regexp.MustCompile(`^` + tc.want + `$`).MatchString(got) {
			t.Errorf("%s: answered\n%s", tc.name, got)
		}
	}
	if all := showFD(c, nil); strings.Count(all, "\n") < 4 {
		t.Errorf("all descriptors are\n%s", all)
	}
}

func TestFilesInHAProxysWords(t *testing.T) {
	for want, f := range map[string]File{
		"loop=1 back=0 fe=in mux=H1 xprt=ADAPTER":                  {Kind: "client", Frontend: "in", HTTP: true, Adapter: true},
		"loop=1 back=1 px=be sv=s1 mux=PASS xprt=RAW state=server": {Kind: "server", Backend: "be", Server: "s1"},
	} {
		if got := f.words(0); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
