package drive

import (
	"bufio"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"waggle/test/swarm/drive/late"
)

func lane(t *testing.T, name string) Lane {
	t.Helper()
	l := laneOf(name)
	if l.Name == "" {
		t.Fatalf("there is no lane %q", name)
	}
	return l
}

func TestTally(t *testing.T) {
	web := lane(t, "HTTP, kept connections")
	work := lane(t, "HTTP, requests of 200 ms")
	ta := newTally()
	act, began := ta.next()
	for _, one := range []struct {
		lane Lane
		took time.Duration
		err  error
	}{
		{web, time.Millisecond, nil},
		{web, 3 * time.Millisecond, nil},
		{web, slowAfter + time.Millisecond, nil},
		{web, time.Second, statusError(503)},
		{work, slowAfter + time.Millisecond, nil}, // 200 ms of which are the task's
	} {
		if got := ta.begin(); got != act {
			t.Fatalf("it belongs to act %d, want %d", got, act)
		}
		ta.add(act, "waggle", one.lane, began.Add(2*time.Second), one.took, one.err)
	}
	if ta.begin(); ta.open(act) != 1 {
		t.Errorf("%d exchanges are open, want 1", ta.open(act))
	}
	ta.next()
	got := make(map[string]Cell)
	for _, c := range ta.take(act) {
		c.took = nil
		got[c.Lane] = c
	}
	want := map[string]Cell{
		web.Name: {
			Contender: "waggle", Lane: web.Name, Exchanges: 4, Failed: 1, Slow: 1, Reasons: map[string]int{"status 503": 1},
			MedianMS: 3, P99MS: 3, MaxMS: 501,
			Failures: []Failure{{After: 2, TookMS: 1000, Reason: "status 503"}}, Slowest: []Failure{{After: 2, TookMS: 501}},
		},
		work.Name: {
			Contender: "waggle", Lane: work.Name, Exchanges: 1, Reasons: map[string]int{}, MedianMS: 501, P99MS: 501, MaxMS: 501,
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Cell{})); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
	ta.add(act, "waggle", web, began, 0, nil) // of an act that is taken
}

func TestExchange(t *testing.T) {
	for _, row := range []struct {
		read        func(*bufio.Reader) (string, bool, error)
		answer      string
		host, wrong string
		again       bool
	}{
		{read: readLine, answer: "hostname: a\n", host: "a", again: true},
		{read: readLine, answer: "hostname: a", wrong: "answer: closed"},
		{read: readLine, answer: "hello\n", wrong: `foreign answer "hello"`, again: true},
		{read: readResponse, answer: "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhostname: a", host: "a", again: true},
		{read: readResponse, answer: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\nhostname: a", host: "a"},
		{read: readResponse, answer: "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nhostname: a", wrong: "body: closed"},
		{read: readResponse, answer: "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", wrong: "status 503", again: true},
		{read: readResponse, answer: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", wrong: `foreign answer "hello"`, again: true},
		{read: readResponse, answer: "", wrong: "answer: closed"},
	} {
		host, again, err := row.read(bufio.NewReader(strings.NewReader(row.answer)))
		wrong := ""
		if err != nil {
			wrong = err.Error()
		}
		if host != row.host || again != row.again || wrong != row.wrong {
			t.Errorf("%q: host %q, again %t, %q; want %q, %t, %q", row.answer, host, again, wrong, row.host, row.again, row.wrong)
		}
	}
}

func TestWord(t *testing.T) {
	for _, row := range []struct {
		err  error
		want string
	}{
		{os.NewSyscallError("connect", syscall.ECONNREFUSED), "connect: refused"},
		{&os.SyscallError{Syscall: "read", Err: syscall.ECONNRESET}, "connect: reset"},
		{os.ErrDeadlineExceeded, "connect: timeout"},
		{io.ErrUnexpectedEOF, "connect: closed"},
		{errors.New("else"), "connect: else"},
	} {
		if got := (&exchangeError{"connect", row.err}).Error(); got != row.want {
			t.Errorf("%v is %q, want %q", row.err, got, row.want)
		}
	}
}

func TestBlame(t *testing.T) {
	ours, theirs := netip.MustParseAddr("10.0.1.2"), netip.MustParseAddr("10.0.1.3")
	s := Stage{
		Contenders: []Contender{{Name: "ours"}, {Name: "theirs"}},
		sources:    map[netip.Addr]string{ours: "ours", theirs: "theirs"},
	}
	term := time.Unix(100, 0)
	got := s.blame([]late.Record{{Terminated: term, Arrivals: []late.Arrival{
		{At: term.Add(time.Second), From: ours, Kind: late.Opened}, // a check
		{At: term.Add(time.Second), From: theirs, Kind: late.Opened},
		{At: term.Add(time.Second), From: theirs, Kind: late.Connection},
		{At: term.Add(1500 * time.Millisecond), From: theirs, Kind: late.Request},
		{At: term.Add(time.Second), From: netip.MustParseAddr("10.0.1.9"), Kind: late.Request}, // nobody's
	}}})
	want := []Late{{Contender: "ours", Checks: 1}, {Contender: "theirs", Connections: 1, Requests: 1, LastMS: 1500}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// results of an update that went wrong in every way.
func results(t *testing.T) Report {
	t.Helper()
	r := Result{
		Act: "update", Order: StopFirst, Behaviour: Behaviour{Name: "draining"},
		Late: []Late{{Contender: "waggle", Connections: 2}, {Contender: "haproxy-seed", Connections: 1, Requests: 1}},
	}
	for _, contender := range []string{"waggle", "haproxy-seed"} {
		for _, l := range Lanes() {
			r.Cells = append(r.Cells, Cell{
				Contender: contender, Lane: lane(t, l.Name).Name, Exchanges: 10, Failed: 1, Slow: 2, Reasons: map[string]int{"answer: closed": 1},
			})
		}
	}
	none := r
	none.Act, none.Order, none.Empty = "scale 3 to 0", "", true
	return Report{Setup: Setup{CPUs: 2, Waggle: "w", HAProxy: "h"}, Results: []Result{r, none}}
}

// TestMisses: only what the recommended file has failed counts, and only while there was a task; a held connection
// ends with its task.
func TestMisses(t *testing.T) {
	misses := results(t).Misses()
	if len(misses) != 5 {
		t.Errorf("%d misses, want one for each lane but the held connections, and one for what came late:\n%s",
			len(misses), strings.Join(misses, "\n"))
	}
	for _, miss := range misses {
		if !strings.HasPrefix(miss, "act 1, update, stop-first, draining: waggle: ") || strings.Contains(miss, "held") {
			t.Errorf("miss %q", miss)
		}
	}
}

// TestMissesOfAKill: a TCP connection that a killed task holds ends, a request does not fail.
func TestMissesOfAKill(t *testing.T) {
	r := results(t)
	r.Results = r.Results[:1]
	r.Results[0].Act, r.Results[0].Late = killed, nil
	misses := r.Misses()
	if len(misses) != 3 || strings.Contains(strings.Join(misses, ""), "TCP") {
		t.Errorf("misses %q, want one for each lane of HTTP", misses)
	}
}

func TestDocs(t *testing.T) {
	dir := t.TempDir()
	page := filepath.Join(dir, "rolling-updates.md")
	if err := os.WriteFile(page, []byte("before\n<!-- begin soak -->\nold\n<!-- end soak -->\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	want := results(t)
	if err := want.WriteDocs(dir); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"before\n", "\nafter\n", "**1 rolling updates**",
		"| waggle, recommended | 30 | 3 | 6 | 10 | 1 | 2 | 1 | 2 | 0 |",
		"| HAProxy, seed's file | 30 | 3 | 6 | 10 | 1 | 2 | 1 | 2 | 0 |",
		"| update, stop-first, draining | 1 | 3 + 1 | 3 + 1 |",
		"| scale 3 to 0, draining: no task for a while | 1 | 3 + 1 | 3 + 1 |",
		"| TCP, new connections: answer: closed | 1 | 0 | 0 | 0 | 1 |",
	} {
		if !strings.Contains(string(content), text) {
			t.Errorf("the page does not contain %q:\n%s", text, content)
		}
	}
	got, err := ReadReport(filepath.Join(dir, "rolling-updates.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Cell{})); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
}
