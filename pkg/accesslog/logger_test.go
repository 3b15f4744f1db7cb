package accesslog

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"waggle/pkg/sample"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// utc are options with which lines are the same everywhere.
func utc() Options {
	return Options{PID: 7, Location: time.UTC, Now: func() time.Time { return accepted }}
}

// pipe has both ends of a pipe, of which a logger writes to a duplicate of one.
type pipe struct{ r, w *os.File }

// pipeTarget is an fd@N target; what is written to it can be read from the pipe.
func pipeTarget(t *testing.T, format string) (Target, pipe) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close(); _ = w.Close() })
	return Target{Address: fmt.Sprintf("fd@%d", w.Fd()), Format: format}, pipe{r, w}
}

func newLogger(t *testing.T, o Options, targets ...Target) *Logger {
	t.Helper()
	l, err := New(targets, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// readLines reads n lines; the test's own deadline ends a wait for lines that do not come.
func readLines(t *testing.T, r io.Reader, n int) []string {
	t.Helper()
	var lines []string
	s := bufio.NewScanner(r)
	for len(lines) < n && s.Scan() {
		lines = append(lines, s.Text())
	}
	if len(lines) < n {
		t.Fatalf("%d lines came, want %d (%v)", len(lines), n, s.Err())
	}
	return lines
}

func TestSeveralTargets(t *testing.T) {
	all, allOut := pipeTarget(t, "raw")
	some, someOut := pipeTarget(t, "short")
	some.Level, some.MinLevel = "notice", "err"
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	l := newLogger(t, utc(), all, some, Target{Address: udp.LocalAddr().String(), Facility: "local0"})

	l.Process(Emerg, "backend b has no server\navailable!")
	e := served()
	e.Style = Connect
	l.Log(&e)
	e.Err = true
	l.Log(&e)
	l.Process(Notice, "Server b/s is UP.")

	connect := "Connect from 127.0.0.1:48676 to 127.0.0.1:19083 (fh/HTTP)"
	same(t, readLines(t, allOut.r, 4), "backend b has no server#0Aavailable!", connect, connect, "Server b/s is UP.")
	same(t, readLines(t, someOut.r, 3), "<3>backend b has no server#0Aavailable!", "<3>"+connect, "<5>Server b/s is UP.")
	var datagrams []string
	buf := make([]byte, 4096)
	for range 4 {
		n, _, err := udp.ReadFrom(buf)
		if err != nil {
			t.Fatal(err)
		}
		datagrams = append(datagrams, string(buf[:n]))
	}
	head := "Nov 23 17:45:48 haproxy[7]: "
	same(t, datagrams, "<128>"+head+"backend b has no server#0Aavailable!\n", "<134>"+head+connect+"\n",
		"<131>"+head+connect+"\n", "<133>"+head+"Server b/s is UP.\n")
	if l.Dropped() != 0 {
		t.Errorf("%d lines dropped", l.Dropped())
	}
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("line %d: got  %q\nwant %q", i, got[i], want[i])
		}
	}
}

// A reader that does not read costs lines, not time, and other targets nothing.
func TestStuckReader(t *testing.T) {
	stuck, full := pipeTarget(t, "raw")
	fill(t, full.w)
	fine, out := pipeTarget(t, "raw")
	o := utc()
	o.QueueBytes = 64 << 10
	l := newLogger(t, o, stuck, fine)
	read := make(chan uint64)
	go func() {
		n := uint64(0)
		for s := bufio.NewScanner(out.r); s.Scan(); n++ {
		}
		read <- n
	}()
	e := served()
	const lines = 20000
	began := time.Now()
	for range lines {
		l.Log(&e)
	}
	if took := time.Since(began); took > 20*time.Second { // it would wait for as long as the reader does
		t.Errorf("%d lines took the caller %v", lines, took)
	}
	closing := time.Now()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(closing); took > 20*flushPatience {
		t.Errorf("Close took %v", took)
	}
	_ = out.w.Close() // the logger has closed its duplicate, so now the reader sees the end
	// Each line was dropped by the queue, or by the stuck target alone.
	if n := <-read; n == 0 || l.Dropped() < lines || n+l.Dropped() > 2*lines {
		t.Errorf("of %d lines the good reader got %d, and %d were counted as dropped", lines, n, l.Dropped())
	}
	l.Log(&e) // dropped, and no harm
}

// fill makes a pipe as small as can be and full.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	size, err := unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, pipeRoom)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
}

func TestCloseFlushes(t *testing.T) {
	target, out := pipeTarget(t, "raw")
	l := newLogger(t, utc(), target)
	const lines = 500 // fits the pipe
	for i := range lines {
		l.Process(Info, fmt.Sprint("line ", i))
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
	got := readLines(t, out.r, lines)
	if got[0] != "line 0" || got[lines-1] != "line 499" {
		t.Errorf("first %q, last %q", got[0], got[lines-1])
	}
	l.Process(Info, "late")
	if l.Dropped() != 1 {
		t.Errorf("%d dropped, want the late line", l.Dropped())
	}
}

// Lines of many writers come whole, none is lost while the queue has room.
func TestManyWriters(t *testing.T) {
	target, out := pipeTarget(t, "raw")
	l := newLogger(t, utc(), target)
	const writers, each = 4, 500
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			e := served()
			e.Request = []byte(fmt.Sprint("GET /", strings.Repeat("x", w), " HTTP/1.1"))
			for range each {
				l.Log(&e)
			}
		})
	}
	count := map[string]int{}
	for _, line := range readLines(t, out.r, writers*each) {
		_, request, _ := strings.Cut(line, ` "`)
		count[request]++
	}
	wg.Wait()
	for w := range writers {
		request := fmt.Sprint("GET /", strings.Repeat("x", w), ` HTTP/1.1"`)
		if count[request] != each {
			t.Errorf("%q: %d lines, want %d (all: %v)", request, count[request], each, count)
		}
	}
}

func TestNoTargets(t *testing.T) {
	for _, l := range []*Logger{nil, newLogger(t, Options{})} {
		e := served()
		l.Log(&e)
		l.Process(Alert, "x")
		if l.Dropped() != 0 || l.Close() != nil {
			t.Error("a logger without targets drops lines or fails")
		}
	}
}

func TestLogDoesNotAllocate(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	o := utc()
	o.QueueBytes = 16 << 20
	l := newLogger(t, o, Target{Address: fmt.Sprintf("fd@%d", null.Fd())})
	e := served()
	for range 20000 {
		l.Log(&e) // let the queue's two buffers grow
	}
	if n := testing.AllocsPerRun(2000, func() { l.Log(&e) }); n >= 1 {
		t.Errorf("%v allocations a line", n)
	}
}

func BenchmarkLog(b *testing.B) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	l, err := New([]Target{{Address: fmt.Sprintf("fd@%d", null.Fd()), Format: "rfc3164"}}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	e := served()
	b.ReportAllocs()
	for b.Loop() {
		l.Log(&e)
	}
}

// Structured data stands in lines of rfc5424 and nowhere else, and the lines of the process have none. What HAProxy 2.6
// writes for the format is the same.
func TestStructuredData(t *testing.T) {
	data, err := sample.ParseFormat(`[a@1   x="%ci" y=%hr  z=%ID]`, sample.LogFormat, true, sample.Env{Where: sample.AtLog})
	if err != nil {
		t.Fatal(err)
	}
	o := utc()
	o.Tag, o.PID = "haproxy", 7
	five, fiveRead := pipeTarget(t, "rfc5424")
	raw, rawRead := pipeTarget(t, "raw")
	l := newLogger(t, o, five, raw)
	e := Entry{Style: Failed, Client: netip.MustParseAddrPort("192.0.2.1:80"), Time: time.Unix(0, 0), Frontend: "f", Bind: "1", Fault: sample.TLSFailed, Data: data}
	l.Log(&e)
	l.Process(Notice, "text")
	const line = "192.0.2.1:80 [01/Jan/1970:00:00:00.000] f/1: SSL handshake failure"
	lines := readLines(t, fiveRead.r, 2)
	for i, want := range []string{` haproxy 7 - [a@1 x="192.0.2.1" y= z=-] ` + line, " haproxy 7 - - text"} {
		if got := lines[i]; !strings.HasSuffix(got, want) {
			t.Errorf("line %d: %q, want %q", i, got, want)
		}
	}
	same(t, readLines(t, rawRead.r, 2), line, "text")
}

// What a process says by itself is written as it is.
func TestALoggerIsAWriter(t *testing.T) {
	target, p := pipeTarget(t, "raw")
	l := newLogger(t, utc(), target)
	for _, text := range []string{"one\n", "", "tab\tand é\nthree\n", "no end"} {
		if n, err := l.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	}
	if got, want := readLines(t, p.r, 4), []string{"one", "tab\tand é", "three", "no end"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := l.Write([]byte("late")); n != 4 || err != nil || l.Dropped() != 1 {
		t.Errorf("behind the end: %d, %v, %d dropped", n, err, l.Dropped())
	}
}
