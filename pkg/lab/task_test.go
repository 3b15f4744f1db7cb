package lab_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
)

func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(labtest.Context(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

func TestWebTasksAnswerWithTheirHostname(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	for i, c := range []struct {
		kind  lab.Kind
		proto string
	}{{lab.HTTP11, "HTTP/1.1"}, {lab.HTTP10, "HTTP/1.0"}, {lab.SimpleWeb, "HTTP/1.0"}} {
		t.Run(string(c.kind), func(t *testing.T) {
			if c.kind == lab.SimpleWeb {
				require.Tool(t, "python3")
			}
			task, err := l.AddTask(labtest.Context(t), lab.TaskOptions{Kind: c.kind})
			if err != nil {
				t.Fatal(err)
			}
			resp, body := get(t, l.Balancer.HTTPClient(), "http://"+task.Endpoint().String()+"/")
			if want := fmt.Sprintf("hostname: web-%d", i+1); body != want || resp.Proto != c.proto {
				t.Errorf("got %s %q, want %s %q", resp.Proto, body, c.proto, want)
			}
		})
	}
}

// TestATaskRunsAProgram: any server can be a task. The program is this test binary; see TestMain.
func TestATaskRunsAProgram(t *testing.T) {
	l := labtest.New(t, lab.Options{})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	serve := &lab.Command{Argv: []string{self}, Env: []string{programEnv + "=" + lab.FilesDir + "/words"},
		Files: map[string][]byte{"words": []byte("waggle, waggle\n")}}
	task, err := l.AddTask(labtest.Context(t), lab.TaskOptions{Command: serve, Port: 8765})
	if err != nil {
		t.Fatal(err)
	}
	words, err := io.ReadAll(dial(t, l.Balancer.Host, task))
	if err != nil || string(words) != "waggle, waggle\n" {
		t.Errorf("got %q, %v", words, err)
	}

	_, err = l.AddTask(labtest.Context(t), lab.TaskOptions{Command: &lab.Command{Argv: []string{"false"}}})
	if err == nil || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("a task whose program ends at once: error %v, want its exit status", err)
	}
	if tasks := l.Tasks(""); len(tasks) != 1 {
		t.Errorf("%d tasks after that, want the first", len(tasks))
	}
}

// sayWords is a server that greets each connection with what a file holds.
func sayWords(file string) error {
	words, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp4", ":8765")
	if err != nil {
		return err
	}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return err
		}
		_, _ = conn.Write(words) // the one who waits for it will notice
		_ = conn.Close()
	}
}

func TestGreetingTaskSpeaksFirst(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 1, Kind: lab.TCPGreet, Service: "talk"})
	conn := dial(t, l.Balancer.Host, l.Tasks("talk")[0])
	line := make([]byte, len("hostname: talk-1\n"))
	if _, err := io.ReadFull(conn, line); err != nil || string(line) != "hostname: talk-1\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func dial(t *testing.T, from *lab.Host, to *lab.Task) net.Conn {
	t.Helper()
	conn, err := from.DialContext(labtest.Context(t), "tcp4", to.Endpoint().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// TestStopLeavesDNSBeforeSIGTERM: a stopped task still serves between its removal from DNS and SIGTERM.
func TestStopLeavesDNSBeforeSIGTERM(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 1, StopDelay: time.Hour})
	task := l.Tasks("web")[0]
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- task.Stop(ctx) }()
	for len(records(query(t, l, "udp4", "web"))) > 0 {
		if t.Context().Err() != nil {
			t.Fatal("the record stays")
		}
	}
	if _, body := get(t, l.Balancer.HTTPClient(), "http://"+task.Endpoint().String()+"/"); body != "hostname: web-1" {
		t.Errorf("got %q", body)
	}
	cancel()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if left := l.Tasks("web"); len(left) != 0 {
		t.Errorf("%d tasks are left", len(left))
	}
}

// TestStopLetsRequestsEnd: SIGTERM does not cut what is under way.
func TestStopLetsRequestsEnd(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 1, Kind: lab.TCPGreet})
	task := l.Tasks("web")[0]
	conn := dial(t, l.Balancer.Host, task)
	line := make([]byte, len("hostname: web-1\n"))
	if _, err := io.ReadFull(conn, line); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- task.Stop(labtest.Context(t)) }()
	for { // until the server has closed its listener
		c, err := l.Balancer.DialContext(labtest.Context(t), "tcp4", task.Endpoint().String())
		if err != nil {
			break
		}
		_ = c.Close()
	}
	if _, err := conn.Write([]byte("more")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, line[:4]); err != nil || string(line[:4]) != "more" {
		t.Errorf("after SIGTERM: got %q, %v", line[:4], err)
	}
	_ = conn.Close()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if err := task.Process().Err(); err != nil {
		t.Errorf("server ended with %v, want status 0", err)
	}
}

func TestKilledTaskRefusesAndStaysInDNS(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 2})
	task := l.Tasks("web")[0]
	task.Kill()
	_, err := l.Balancer.DialContext(labtest.Context(t), "tcp4", task.Endpoint().String())
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial: got %v, want connection refused", err)
	}
	if n := len(records(query(t, l, "udp4", "web"))); n != 2 {
		t.Errorf("%d records, want both", n)
	}
	if err := l.DNS.Remove(task); err != nil {
		t.Fatal(err)
	}
	if got := records(query(t, l, "udp4", "web")); len(got) != 1 || got[0] == task.Addr() {
		t.Errorf("after Remove: %v", got)
	}
}

func TestUnpluggedTaskIsSilent(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 1})
	task := l.Tasks("web")[0]
	if err := task.Unplug(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := l.Balancer.DialContext(ctx, "tcp4", task.Endpoint().String()); !errors.Is(err, context.DeadlineExceeded) {
		var timeout net.Error // or nobody answers ARP, where the machine stalls for seconds
		if !errors.As(err, &timeout) || !timeout.Timeout() && !errors.Is(err, syscall.EHOSTUNREACH) {
			t.Errorf("got %v, want a timeout", err)
		}
	}
	if err := task.Plug(); err != nil {
		t.Fatal(err)
	}
	dial(t, l.Balancer.Host, task)
}

func TestAddressesAndSlots(t *testing.T) {
	l := labtest.New(t, lab.Options{Tasks: 2})
	ctx := labtest.Context(t)
	first := l.Tasks("web")[0]
	if err := first.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	next, err := l.AddTask(ctx, lab.TaskOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if next.Name() != "web-1" || next.Addr() == first.Addr() {
		t.Errorf("got %s at %s, want the free slot with a new address", next.Name(), next.Addr())
	}
	reused, err := l.AddTask(ctx, lab.TaskOptions{Service: "other", Addr: first.Addr()})
	if err != nil {
		t.Fatal(err)
	}
	if _, body := get(t, l.Balancer.HTTPClient(), "http://"+reused.Endpoint().String()+"/"); body != "hostname: other-1" {
		t.Errorf("at the reused address: %q", body)
	}
	if _, err := l.AddTask(ctx, lab.TaskOptions{Addr: first.Addr()}); err == nil {
		t.Error("two tasks got the same address")
	}
	if _, err := l.AddTask(ctx, lab.TaskOptions{Addr: netip.MustParseAddr("192.0.2.1")}); err == nil {
		t.Error("a task got an address outside of the overlay")
	}
	if _, err := l.AddTask(ctx, lab.TaskOptions{Kind: "ftp"}); err == nil {
		t.Error("a task of an unknown kind was started")
	}
	if n := len(l.Tasks("")); n != 3 {
		t.Errorf("%d tasks are listed, want 3: failed ones leave nothing", n)
	}
}
