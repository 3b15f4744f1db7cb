package runtimeapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/lab/message"
)

// ringed is a ring with lines, and a logger that writes more of them.
func ringed(t *testing.T, lines ...string) (*accesslog.Ring, *accesslog.Logger) {
	t.Helper()
	r := accesslog.NewRing(accesslog.RingConfig{Name: "r", Description: "a ring", Size: 16384, MaxLength: 16384})
	l, err := accesslog.New([]accesslog.Target{{Ring: r}}, accesslog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		say(t, r, l, line)
	}
	return r, l
}

// shut has both close at the end of the test. Servers look for goroutines when they end, so it is called behind serve.
func shut(t *testing.T, r *accesslog.Ring, l *accesslog.Logger) {
	t.Helper()
	t.Cleanup(func() { l.Close(); r.Close() })
}

// say writes one line and waits until the ring has it.
func say(t *testing.T, r *accesslog.Ring, l *accesslog.Logger, line string) {
	t.Helper()
	more := r.More(r.Newest())
	l.Process(accesslog.Notice, line)
	select {
	case <-more:
	case <-time.After(10 * time.Second):
		t.Fatal("the ring does not get the line")
	}
}

func TestShowEvents(t *testing.T) {
	r, l := ringed(t, "one", "two")
	shut(t, r, l)
	opts := Options{Rings: func() []*accesslog.Ring { return []*accesslog.Ring{r} }}
	const list = "Supported events sinks are listed below. Add -w(wait), -n(new). Any key to stop\n"
	for _, tt := range []struct {
		opts       Options
		line, want string
	}{
		{opts, "show events", list + "    r          : type=buffer, 0 dropped, a ring\n"},
		{Options{}, "show events", list},
		{opts, "show events r", "one\ntwo\n"},
		{opts, "show events r -0", "one\x00two\x00"},
		{opts, "show events r -n", ""},
		{opts, "show events nope", "No such event sink"},
		{opts, "show events r -x", "unknown option"},
		{opts, "show events r extra", "unknown option"},
	} {
		c := &session{server: New(fixed{balancer()}, tt.opts), level: Operator}
		if got := answersTo(c, tt.line); got != tt.want+"\n" {
			t.Errorf("%s: %q", tt.line, got)
		}
		message.Shown(t, tt.want)
	}
	c := &session{server: New(fixed{balancer()}, opts), level: User}
	if got := answersTo(c, "show events r"); got != "Permission denied\n\n" {
		t.Errorf("as user: %q", got)
	}
}

// An answer comes in pieces: a ring may be large.
func TestManyEventsAreWrittenBitByBit(t *testing.T) {
	r, l := ringed(t)
	shut(t, r, l)
	for i := range 5000 {
		l.Process(accesslog.Notice, fmt.Sprint("line ", i))
	}
	l.Close() // writes all
	c := &session{server: New(fixed{balancer()}, Options{Rings: func() []*accesslog.Ring { return []*accesslog.Ring{r} }}), level: Operator}
	var pieces []string
	c.line("show events r", func(s string) bool { pieces = append(pieces, s); return true })
	all := strings.Join(pieces, "")
	if !strings.HasSuffix(all, "line 4998\nline 4999\n\n") || len(all) > 16384 || len(all) < 10000 {
		t.Errorf("%d bytes in %d pieces: …%q", len(all), len(pieces), all[max(0, len(all)-40):])
	}
	for _, p := range pieces {
		if len(p) > eventChunk+100 {
			t.Errorf("a piece of %d bytes", len(p))
		}
	}
}

// A client that waits gets each line as it comes, until it sends something: that is the next command.
func TestWaitForEvents(t *testing.T) {
	r, logger := ringed(t, "old")
	at := serve(t, Options{Rings: func() []*accesslog.Ring { return []*accesslog.Ring{r} }}, socket(t))
	shut(t, r, logger)
	conn, err := net.Dial(at.Addr().Network(), at.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	in := bufio.NewReader(conn)
	expect := func(want string) {
		t.Helper()
		if got, err := in.ReadString('\n'); err != nil || got != want {
			t.Fatalf("%q %v, want %q", got, err, want)
		}
	}
	fmt.Fprint(conn, "prompt i\n")
	expect("\n")
	fmt.Fprint(conn, "show events r -w\n")
	expect("old\n")
	say(t, r, logger, "new")
	expect("new\n")
	say(t, r, logger, "newer")
	expect("newer\n")
	fmt.Fprint(conn, "show events r -n\n")
	expect("\n") // ends the first
	expect("\n") // is the second
	fmt.Fprint(conn, "show events r -nw\n")
	if c, ok := conn.(interface{ CloseWrite() error }); ok {
		c.CloseWrite()
	}
	expect("\n") // a half-closed side ends it, too
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("%q %v", rest, err)
	}
}

func TestStopEndsThoseThatWaitForEvents(t *testing.T) {
	r, l := ringed(t, "old")
	shut(t, r, l)
	ctx, stop := context.WithCancel(t.Context())
	client, server := net.Pipe()
	defer client.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		New(fixed{balancer()}, Options{Rings: func() []*accesslog.Ring { return []*accesslog.Ring{r} }}).serveClient(ctx, server, Operator)
	}()
	fmt.Fprint(client, "show events r -w\n")
	if got, err := bufio.NewReader(client).ReadString('\n'); err != nil || got != "old\n" {
		t.Fatal(got, err)
	}
	stop()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the client is served still")
	}
}
