package runtimeapi

import (
	"errors"
	"net/netip"
	"testing"

	"waggle/pkg/lab/message"
)

type foreseen struct {
	client netip.AddrPort
	front  string
	trace  Trace
	err    error
}

func (f *foreseen) Trace(client netip.AddrPort, front string) (Trace, error) {
	f.client, f.front = client, front
	return f.trace, f.err
}

func TestTrace(t *testing.T) {
	taken := Trace{Front: netip.MustParseAddrPort("192.0.2.1:80"), Verdict: "kernel", Frontend: "in", Server: "web/one (10.0.0.1:80)", Why: "So it is."}
	const said = "# a SYN from 198.51.100.7:40000 to 192.0.2.1:80\nverdict:  kernel\nfrontend: in\nserver:   web/one (10.0.0.1:80)\nwhy:      So it is.\n"
	for _, tt := range []struct {
		line, want string
		asked      string
	}{
		{"trace 198.51.100.7 in", said, "198.51.100.7:40000 in"},
		{"trace 198.51.100.7:40000 -> 192.0.2.1:80", said, "198.51.100.7:40000 192.0.2.1:80"},
		{"trace 198.51.100.7 in json", `{"client":"198.51.100.7:40000","front":"192.0.2.1:80","verdict":"kernel","frontend":"in","server":"web/one (10.0.0.1:80)","why":"So it is."}` + "\n", "198.51.100.7:40000 in"},
		{"trace 198.51.100.7 -> in json", `{"client":"198.51.100.7:40000","front":"192.0.2.1:80","verdict":"kernel","frontend":"in","server":"web/one (10.0.0.1:80)","why":"So it is."}` + "\n", "198.51.100.7:40000 in"},
		{"trace nobody in", "'nobody' is not an address of a client.\n", "invalid AddrPort "},
		{"trace", "usage: trace <client>[:<port>] [->] <frontend>|<address>:<port> [json]\n", "invalid AddrPort "},
		{"trace 198.51.100.7 to in", "usage: trace <client>[:<port>] [->] <frontend>|<address>:<port> [json]\n", "invalid AddrPort "},
	} {
		f := &foreseen{trace: taken}
		c := &session{server: New(fixed{balancer()}, Options{Tracer: f}), level: Operator}
		if got := answersTo(c, tt.line); got != tt.want+"\n" || f.client.String()+" "+f.front != tt.asked {
			t.Errorf("%s: %q, asked %s %s", tt.line, got, f.client, f.front)
		}
		message.Shown(t, tt.want)
	}
	c := &session{server: New(fixed{balancer()}, Options{Tracer: &foreseen{err: errors.New("no such frontend")}}), level: Operator}
	if got := answersTo(c, "trace 198.51.100.7 in"); got != "Cannot trace: no such frontend.\n\n" {
		t.Errorf("%q", got)
	}
	c = &session{server: New(fixed{balancer()}, Options{}), level: Operator}
	if got := answersTo(c, "trace 198.51.100.7 in"); got != "The kernel path is off: userspace takes all connections.\n\n" {
		t.Errorf("%q", got)
	}
}
