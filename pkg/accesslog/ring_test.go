package accesslog

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
)

func newRing(t *testing.T, cfg RingConfig) *Ring {
	t.Helper()
	r := NewRing(cfg)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// lines are all that a reader at c gets, and how many it comes too late for.
func (r *Ring) lines(c Cursor) (all []string, lost uint64) {
	for {
		text, from, next, ok := r.Next(c, nil)
		lost += from.line - c.line
		if c = next; !ok {
			return all, lost
		}
		all = append(all, string(text))
	}
}

// A ring is held against a slice of lines of which the oldest are taken away, at sizes where everything wraps around.
func TestRingKeepsTheLast(t *testing.T) {
	for _, size := range []int{16, 17, 64, 100} {
		r := newRing(t, RingConfig{Size: size, MaxLength: size})
		random := rand.New(rand.NewPCG(1, uint64(size)))
		var want []string
		used, total := 0, uint64(0)
		middle := Cursor{}
		for i := range 2000 {
			line := strings.Repeat(string(rune('a'+i%26)), random.IntN(size-lineHead+1))
			r.append([]byte(line))
			want, used, total = append(want, line), used+lineHead+len(line), total+1
			for used > size {
				used, want = used-lineHead-len(want[0]), want[1:]
			}
			if i == 1000 {
				middle = r.Newest()
			}
			got, lost := r.lines(Cursor{})
			if fmt.Sprint(got) != fmt.Sprint(want) || lost != total-uint64(len(want)) {
				t.Fatalf("size %d, line %d: %q and %d lost, want %q and %d", size, i, got, lost, want, total-uint64(len(want)))
			}
		}
		got, lost := r.lines(middle)
		if lost+uint64(len(got)) != 999 {
			t.Errorf("%d lines and %d lost behind the middle", len(got), lost)
		}
		if got, _ := r.lines(r.Newest()); got != nil {
			t.Errorf("%q behind the newest", got)
		}
	}
}

// What is longer than the ring, or than a length has digits for, is cut.
func TestRingCutsLines(t *testing.T) {
	for size, want := range map[int]int{20: 18, 1 << 20: maxLength} {
		r := newRing(t, RingConfig{Size: size, MaxLength: size})
		r.append(make([]byte, 1<<19))
		if got, _ := r.lines(Cursor{}); len(got) != 1 || len(got[0]) != want {
			t.Errorf("size %d: %d lines, %d bytes, want %d", size, len(got), len(got[0]), want)
		}
	}
}

func TestRingWakesThoseWhoWait(t *testing.T) {
	r := newRing(t, RingConfig{Size: 100, MaxLength: 100})
	more := r.More(Cursor{})
	select {
	case <-more:
		t.Fatal("there is more than nothing")
	default:
	}
	r.append([]byte("a"))
	<-more
	<-r.More(Cursor{})
}

// The section says how lines look, and the log line which of them there are.
func TestRingAsATarget(t *testing.T) {
	for _, tt := range []struct {
		ring   RingConfig
		target Target
		want   string
	}{
		{RingConfig{MaxLength: 100}, Target{Format: "rfc5424"}, "text of a line"},
		{RingConfig{MaxLength: 100, Format: "priority"}, Target{Facility: "local0"}, "<134>text of a line"},
		{RingConfig{MaxLength: 100, Format: "local"}, Target{Length: 80}, "<30>Nov 23 17:45:48 haproxy[7]: text of a line"},
		{RingConfig{MaxLength: 40, Format: "local"}, Target{}, "<30>Nov 23 17:45:48 haproxy[7]: text of "},
		{RingConfig{MaxLength: 100}, Target{Level: "err"}, ""},
	} {
		tt.ring.Name, tt.ring.Size = "r", 1000
		r := newRing(t, tt.ring)
		tt.target.Ring = r
		l := newLogger(t, utc(), tt.target)
		l.Process(Info, "text of a line")
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if got, _ := r.lines(Cursor{}); strings.Join(got, "|") != tt.want {
			t.Errorf("%+v %+v: %q, want %q", tt.ring, tt.target, got, tt.want)
		}
	}
}

// syslog is a server that may be away.
type syslog struct {
	t    *testing.T
	addr string
	net.Listener
}

func newSyslog(t *testing.T) *syslog {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &syslog{t, l.Addr().String(), l}
}

func (s *syslog) accept() (net.Conn, *bufio.Reader) {
	s.t.Helper()
	s.Listener.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second))
	c, err := s.Accept()
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	return c, bufio.NewReader(c)
}

func expectLine(t *testing.T, in *bufio.Reader, want string) {
	t.Helper()
	if got, err := in.ReadString('\n'); err != nil || got != want+"\n" {
		t.Fatalf("%q %v, want %q", got, err, want)
	}
}

// A server that comes, goes and comes again gets every line, those from before it came too.
func TestRingServerGetsAllLines(t *testing.T) {
	server := newSyslog(t)
	r := newRing(t, RingConfig{Size: 1000, MaxLength: 100, Servers: []RingServer{{Address: server.addr}}})
	r.append([]byte("first"))
	conn, in := server.accept()
	expectLine(t, in, "first")
	r.append([]byte("second"))
	expectLine(t, in, "second")
	conn.Close()
	_, in = server.accept() // it is noticed, and lines wait
	r.append([]byte("third"))
	expectLine(t, in, "third")
	r.append([]byte("last"))
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	expectLine(t, in, "last")
	if n := r.Dropped(); n != 0 {
		t.Errorf("%d dropped", n)
	}
}

// With a server that is not there, or that reads nothing, the ring goes on with the last lines, counts the others, and
// closes in time.
func TestRingDoesNotWaitForServers(t *testing.T) {
	deaf := newSyslog(t)
	r := newRing(t, RingConfig{
		Size: 64 << 10, MaxLength: 1000, Servers: []RingServer{{Address: deaf.addr}, {Address: labtest.ClosedAddr(t).String(), OctetCount: true}},
	})
	deaf.accept()
	began, line := time.Now(), make([]byte, 1000)
	for range 20000 { // more than both sides' socket buffers hold
		r.append(line)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it took %s", took)
	}
	if got, _ := r.lines(Cursor{}); len(got) != 65 {
		t.Errorf("%d lines are kept", len(got))
	}
	began = time.Now()
	_ = r.Close()
	if took := time.Since(began); took > flushPatience+30*time.Second {
		t.Errorf("closing took %s", took)
	}
	if n := r.Dropped(); n < 20000+1000 || n > 40000 { // all for one, and what the socket did not take for the other
		t.Errorf("%d dropped", n)
	}
}
