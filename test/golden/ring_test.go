package golden

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/require"
)

const ringConfig = `global
 nbthread 1
 stats socket %[1]s level admin
ring plain
 description a ring
ring short
 maxlen 120
 format rfc3164
ring tiny
 size 16384
 maxlen 200
ring sent
 format rfc5424
 timeout connect 10s
 timeout server 1m
 server counted %[3]s log-proto octet-count
 server lines %[4]s
ring rest1
 format iso
ring rest2
 format timed
ring rest3
 format short
ring rest4
 format priority
ring rest5
 format local
defaults
 mode http
 timeout client 5s
 timeout server 5s
 timeout connect 5s
frontend f
 log-format "%%HM %%HU %%ST"
 bind %[2]s
 log ring@plain format rfc5424 local0
 log ring@short len 80 local1
 log ring@tiny local0
 log ring@sent local3
 log ring@rest1 local0
 log ring@rest2 local0
 log ring@rest3 local0
 log ring@rest4 local0
 log ring@rest5 local0 notice notice
 log ring@buf0 local0
 http-request set-log-level err if { path /err }
 http-request return status 200 content-type text/plain string hi
`

// ringQuestions are put to both; what differs from run to run is blanked.
var ringQuestions = []string{
	"show events plain", "show events short", "show events sent", "show events rest1", "show events rest2", "show events rest3", "show events rest4",
	"show events rest5", "show events buf0", "show events plain -n", "show events nope", "show events plain -x", "show events plain extra", "show events plain -w",
}

// Rings hold what HAProxy's hold, in the same words, and their servers get the same bytes.
func TestRingsAsHAProxy(t *testing.T) {
	program := require.Tool(t, "haproxy")
	subnet := byte(1 + os.Getpid()%200)
	ours := fillRings(t, fmt.Sprintf("127.77.%d.1", subnet), func(file, _ string) func() { return startWaggle(t, file) })
	theirs := fillRings(t, fmt.Sprintf("127.77.%d.2", subnet), func(file, probe string) func() { return startHAProxy(t, program, file, probe) })
	for what, got := range ours {
		if got != theirs[what] {
			t.Errorf("%s: ours\n%s\nHAProxy's\n%s", what, got, theirs[what])
		}
	}
	if n := strings.Count(ours["show events plain"], "\n"); n != 5 { // four lines and an empty one
		t.Errorf("%d lines: %s", n, ours["show events plain"])
	}
}

// fillRings has a contender at host log requests, and gives what it answers about them and what its syslog servers got.
func fillRings(t *testing.T, host string, start func(file, probe string) func()) map[string]string {
	t.Helper()
	dir := t.TempDir()
	counted, lines := listen(t), listen(t)
	file, sock := filepath.Join(dir, "haproxy.cfg"), filepath.Join(dir, "sock")
	text := fmt.Sprintf(ringConfig, sock, host+":18480", counted.Addr(), lines.Addr())
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := start(file, host+":18481")
	defer stop()
	paths := []string{"/a", "/err", "/" + strings.Repeat("x", 300), "/b"}
	for _, path := range paths {
		visit(t, "http://"+host+":18480"+path)
	}
	got := map[string]string{}
	// A line comes to one ring after the other, here to buf0 last.
	for end := time.Now().Add(patience); !strings.Contains(runtime(t, sock, "show events buf0"), "/b 200"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("lines are missing")
		}
	}
	if cut := strings.Split(runtime(t, sock, "show events short"), "\n")[2]; len(cut) != 120 {
		t.Errorf("%s cuts a line to %d bytes: %s", host, len(cut), cut)
	}
	for _, q := range ringQuestions {
		got[q] = blank(runtime(t, sock, q))
	}
	got["by octet-count"], got["by lines"] = blank(receive(t, counted, "/b 200")), blank(receive(t, lines, "/b 200"))
	for i := range 400 { // more than the smallest ring holds
		visit(t, fmt.Sprintf("http://%s:18480/%060d", host, i))
	}
	all := runtime(t, sock, "show events tiny")
	for end := time.Now().Add(patience); !strings.Contains(all, "399 200"); all = runtime(t, sock, "show events tiny") {
		if time.Now().After(end) {
			t.Fatal("lines are missing")
		}
	}
	if n := strings.Count(all, "\n"); n < 200 || n > 260 || strings.Contains(all, "/a 200") {
		t.Errorf("%s keeps %d lines in 16384 bytes", host, n)
	}
	return got
}

// visit makes a request and takes its whole answer: the next one comes by the same connection.
func visit(t *testing.T, url string) {
	t.Helper()
	client := http.Client{Timeout: patience} // with the connections of all clients
	res, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// receive gives what a contender sends, up to a text.
func receive(t *testing.T, l net.Listener, last string) string {
	t.Helper()
	l.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(patience))
	var all strings.Builder
	in := bufio.NewReader(c)
	for !strings.HasSuffix(strings.TrimSuffix(all.String(), "\n"), last) {
		b, err := in.ReadByte()
		if err != nil {
			t.Fatalf("%v behind %q", err, all.String())
		}
		all.WriteByte(b)
	}
	return all.String()
}

// runtime has a command answered.
func runtime(t *testing.T, sock, command string) string {
	t.Helper()
	c, err := net.Dial("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintln(c, command)
	c.(*net.UnixConn).CloseWrite()
	all, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// blank takes times and process ids out, with the differences of length that they make.
func blank(text string) string {
	text = regexp.MustCompile(`\d{4}-\d\d-\d\dT\S+|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d`).ReplaceAllString(text, "TIME")
	text = regexp.MustCompile(`haproxy\[\d+\]`).ReplaceAllString(text, "haproxy[PID]")
	text = regexp.MustCompile(`haproxy \d+ `).ReplaceAllString(text, "haproxy PID ")
	text = regexp.MustCompile(`(?m)(^|200 ?)\d+ <`).ReplaceAllString(text, "${1}N <")
	return regexp.MustCompile(`x+`).ReplaceAllStringFunc(text, func(xs string) string {
		if len(xs) > 20 && len(xs) < 250 { // cut off, later where a process id is shorter
			return "XXX"
		}
		return xs
	})
}
