package runtimeapi

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/message"
	"waggle/pkg/pool"
)

// carried is a kernel path with flows.
type carried struct {
	flows      []Flow
	streams    []Stream
	err        error // of the kernel path
	streamsErr error
	ended      []string
}

func (c *carried) Flows(yield func(Flow) bool) error {
	for _, f := range c.flows {
		if !yield(f) {
			break
		}
	}
	return c.err
}

func (c *carried) Streams(yield func(Stream) bool) error {
	for _, s := range c.streams {
		if !yield(s) {
			break
		}
	}
	return c.streamsErr
}

func (c *carried) ShutdownStream(id uint64) (bool, error) {
	i := slices.IndexFunc(c.streams, func(s Stream) bool { return s.ID == id })
	if i >= 0 {
		c.ended = append(c.ended, fmt.Sprint(id))
	}
	return i >= 0, nil
}

func (c *carried) ShutdownServer(s *pool.Server) error {
	c.ended = append(c.ended, s.Name)
	return c.err
}

func (c *carried) ShutdownFlow(id uint64) (bool, error) {
	i := slices.IndexFunc(c.flows, func(f Flow) bool { return f.ID == id })
	if i >= 0 {
		c.ended = append(c.ended, fmt.Sprint(id))
	}
	return i >= 0, c.err
}

func threeFlows() *carried {
	flow := func(id uint64, fe, be, srv, client, state string, age time.Duration) Flow {
		return Flow{
			ID: id, Frontend: fe, Backend: be, Server: srv, State: state, Age: age, Idle: time.Second, BytesIn: id, BytesOut: 1000 * id,
			Client: netip.MustParseAddrPort(client), Front: netip.MustParseAddrPort("192.0.2.1:80"),
			Back: netip.MustParseAddrPort("10.0.0.2:1024"), Task: netip.MustParseAddrPort("10.0.0.1:80"),
		}
	}
	return &carried{flows: []Flow{
		flow(0x1f, "in", "web", "one", "198.51.100.7:4000", "established", 3*time.Second),
		flow(0x20, "in", "web", "two", "198.51.100.8:4000", "half-open", time.Second),
		flow(0x21, "db", "sql", "one", "203.0.113.7:4000", "closed", time.Minute),
	}}
}

func (c *carried) ask(level Level, line string) string {
	server := New(fixed{balancer()}, Options{Sessions: c})
	s := &session{server: server, level: level}
	return answersTo(s, line)
}

func TestShowFlows(t *testing.T) {
	const (
		head   = "# id frontend backend/server client front back task state age idle bytes_in bytes_out\n"
		first  = "0x1f in web/one 198.51.100.7:4000 192.0.2.1:80 10.0.0.2:1024 10.0.0.1:80 established 3s 1s 31 31000\n"
		second = "0x20 in web/two 198.51.100.8:4000 192.0.2.1:80 10.0.0.2:1024 10.0.0.1:80 half-open 1s 1s 32 32000\n"
		third  = "0x21 db sql/one 203.0.113.7:4000 192.0.2.1:80 10.0.0.2:1024 10.0.0.1:80 closed 1m0s 1s 33 33000\n"
	)
	for _, tt := range []struct{ args, want string }{
		{"", head + third + first + second}, // the oldest first
		{" frontend in", head + first + second},
		{" backend sql", head + third},
		{" server one", head + third + first},
		{" server web/one", head + first},
		{" client 203.0.113.7", head + third},
		{" client 198.51.100.0/24", head + first + second},
		{" client 198.51.100.8:4000", head + second},
		{" client 198.51.100.8:4001", head},
		{" state established", head + first},
		{" frontend in state half-open", head + second},
		{" max 1", head + first + "# and 2 more: narrow it down, or raise 'max' (up to 100000)\n"},
		{" max 1 json server one", `{"flows":[{"id":"0x1f","frontend":"in","backend":"web","server":"one","client":"198.51.100.7:4000","front":"192.0.2.1:80",` +
			`"back":"10.0.0.2:1024","task":"10.0.0.1:80","state":"established","age_ms":3000,"idle_ms":1000,"bytes_in":31,"bytes_out":31000}],"more":1}` + "\n"},
		{" json frontend none", `{"flows":[],"more":0}` + "\n"},
		{" frontend", "'frontend' expects a value.\n"},
		{" max 0", "'max' expects a number from 1 to 100000.\n"},
		{" max 100001", "'max' expects a number from 1 to 100000.\n"},
		{" client nobody", "'client' expects an address, with a port or a prefix length if you like.\n"},
		{" state open", "'state' expects 'half-open', 'established' or 'closed'.\n"},
		{" color red", "Unknown filter 'color': expects frontend, backend, server, client, state or max.\n"},
	} {
		if got := threeFlows().ask(Operator, "show flows"+tt.args); got != tt.want+"\n" {
			t.Errorf("show flows%s:\n%s\nwant\n%s", tt.args, got, tt.want)
		}
		message.Shown(t, tt.want)
	}
	if got := threeFlows().ask(User, "show flows"); got != "Permission denied\n\n" {
		t.Errorf("as user: %q", got)
	}
	broken := &carried{err: errors.New("the kernel path is off")}
	if got := broken.ask(Operator, "show flows"); got != "Cannot list flows: the kernel path is off.\n\n" {
		t.Errorf("without a kernel path: %q", got)
	}
}

// A listing of HAProxy's is taken apart by its `name=value` words.
func TestShowSess(t *testing.T) {
	got := threeFlows().ask(Operator, "show sess")
	if lines := strings.Count(got, "\n"); lines != 3 { // closed ones are no sessions; the answer ends with an empty line
		t.Errorf("%d lines:\n%s", lines, got)
	}
	const want = "0x1f: proto=tcpv4 src=198.51.100.7:4000 fe=in be=web srv=one "
	if !strings.HasPrefix(got, want) {
		t.Errorf("%s\nwant it to begin %s", got, want)
	}
	if got := threeFlows().ask(Operator, "show sess 0x20"); !strings.HasPrefix(got, "0x20: ") || strings.Count(got, "src=") != 1 {
		t.Errorf("one session: %s", got)
	}
	for _, id := range []string{"0x99", "x"} {
		if got := threeFlows().ask(Operator, "show sess "+id); !strings.HasPrefix(got, "Session not found") {
			t.Errorf("%s: %s", id, got)
		}
	}
}

func TestShutdown(t *testing.T) {
	for _, tt := range []struct{ line, want, ended string }{
		{"shutdown sessions server web/one", "", "one"},
		{"shutdown sessions server web/nobody", "No such server.\n", ""},
		{"shutdown session 0x1f", "", "31"},
		{"shutdown session 1f", "", "31"},
		{"shutdown session 0x99", "No such session (use 'show sess').\n", ""},
		{"shutdown session", "Session pointer expected (use 'show sess').\n", ""},
	} {
		c := threeFlows()
		if got := c.ask(Admin, tt.line); got != tt.want+"\n" || strings.Join(c.ended, " ") != tt.ended {
			t.Errorf("%s: %q, ended %v", tt.line, got, c.ended)
		}
		message.Shown(t, tt.want)
		c = threeFlows()
		if got := c.ask(Operator, tt.line); got != "Permission denied\n\n" || c.ended != nil {
			t.Errorf("%s as operator: %q, ended %v", tt.line, got, c.ended)
		}
	}
}
