package peers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/lab/labtest"
	"waggle/test/program"
)

// kept is a client with a connection that is kept.
type kept struct {
	net.Conn
	r *bufio.Reader
}

func connect(t *testing.T, addr string) *kept {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	return &kept{c, bufio.NewReader(c)}
}

func (c *kept) ask(path string) error {
	_, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", path)
	return err
}

func (c *kept) answer() (status int, body string, err error) {
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, "", err
	}
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func (c *kept) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	err := c.ask(path)
	if err == nil {
		status, body, err = c.answer()
	}
	if err != nil {
		t.Fatal(err)
	}
	return status, body
}

// failures reads how often waggle could not open a connection.
func (c *kept) failures(t *testing.T, operation string) int {
	t.Helper()
	_, body := c.get(t, "/metrics")
	m := regexp.MustCompile(`waggle_open_failures_total\{operation="` + operation + `"\} (\d+)`).FindStringSubmatch(body)
	if m == nil {
		t.Fatalf("no such metric in\n%s", body)
	}
	n, _ := strconv.Atoi(m[1])
	return n
}

// TestOutOfDescriptors: a process that has no descriptor left goes on serving the clients that it has, turns no loop in
// vain, says so once, and takes those that wait when there is room again.
func TestOutOfDescriptors(t *testing.T) {
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.URL.Path) })}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(ln) }()
	defer server.Close()

	addr := labtest.FreeAddr(t).String()
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	config := "global\n maxconn 1000\n" + defaults + fmt.Sprintf(" retries 0\nlisten web\n bind %[1]s\n http-request use-service prometheus-exporter if { path /metrics }\n"+
		" http-request return status 200 if { path /own }\n use_backend other if { path /first }\n server a %[2]s\nbackend other\n server b %[2]s\n", addr, ln.Addr())
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	var said labtest.Transcript
	cmd := program.Command(t, "run", "-f", file, "--datapath=off", "--loops=1", "--health-socket=@"+filepath.Dir(file))
	start(t, cmd, &said, addr)

	old := connect(t, addr)
	if status, _ := old.get(t, "/old"); status != 200 {
		t.Fatalf("status %d", status)
	}
	const room = 5
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	limit := unix.Rlimit{Cur: uint64(len(open) + room), Max: uint64(len(open) + room)}
	if err := unix.Prlimit(cmd.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil); err != nil {
		t.Fatal(err)
	}

	// None of these needs a descriptor of a server, so they take all that are left.
	full := time.Now()
	var served, waiting []*kept
	for range 3 * room {
		c := connect(t, addr)
		if err := c.ask("/own"); err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, c)
	}
	for old.failures(t, "accept") == 0 { // until its deadline
		time.Sleep(5 * time.Millisecond)
	}
	for _, c := range waiting[:room] { // the queue is in order, and nothing else in the process opens anything
		if status, _, err := c.answer(); err != nil || status != 200 {
			t.Fatalf("%d %v, although there was room", status, err)
		}
	}
	served, waiting = waiting[:room], waiting[room:]

	before, begun := old.failures(t, "accept"), time.Now()
	for range 20 {
		if status, body := old.get(t, "/old"); status != 200 || body != "/old" {
			t.Fatalf("the client from before gets %d %q", status, body)
		}
		time.Sleep(25 * time.Millisecond)
	}
	tries := old.failures(t, "accept") - before
	if most := 2 + int(time.Since(begun)/(100*time.Millisecond)); tries < 1 || tries > most {
		t.Errorf("tried to accept %d times in %v, want at most %d", tries, time.Since(begun), most)
	}
	// Once in 10 s. What it says comes here by a pipe.
	for end, n := time.Now().Add(patience), 0; n == 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if n = strings.Count(said.String(), "cannot accept connections for a moment"); n > 1+int(time.Since(full)/(10*time.Second)) {
			t.Errorf("said %d times in %v", n, time.Since(full))
		}
	}
	if !strings.Contains(said.String(), "cannot accept connections for a moment") {
		t.Error("it does not say so")
	}

	// A request that needs another server: the idle connection of the first client's is given up for it.
	if status, body := served[0].get(t, "/first"); status != 200 || body != "/first" {
		t.Errorf("got %d %q", status, body)
	}
	for _, c := range served {
		c.Close()
	}
	for i, c := range waiting {
		if status, _, err := c.answer(); err != nil || status != 200 {
			t.Fatalf("client %d of those that waited: %d %v", i, status, err)
		}
		c.Close()
	}
	if status, _ := old.get(t, "/old"); status != 200 {
		t.Errorf("status %d", status)
	}
}
