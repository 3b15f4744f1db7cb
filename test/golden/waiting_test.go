package golden

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
)

// TestWaiting has clients come, wait, be served and leave as the files of testdata/queues say. waggle and HAProxy must both
// come to what each step expects.
func TestWaiting(t *testing.T) {
	files, err := filepath.Glob("testdata/queues/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	program := require.Tool(t, "haproxy")
	for _, file := range files {
		s := readWaiting(t, file)
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name+"/waggle", func(t *testing.T) {
			s.play(t, func(file, _ string) func() { return startWaggle(t, file) })
		})
		if s.haproxyLacks == "" {
			t.Run(name+"/haproxy", func(t *testing.T) {
				s.play(t, func(file, probe string) func() { return startHAProxy(t, program, file, probe) })
			})
		}
	}
}

// hall is where clients and servers of a run meet. A client is known by the path that it asks for.
type hall struct {
	values map[string]string
	ctx    context.Context

	mu      sync.Mutex
	at      map[string]string        // the server that has a client's request, or what the client was answered
	release map[string]chan struct{} // lets the server answer
	clients map[string]net.Conn
	lines   []string // of the log
	said    string   // the last answer to a command
}

// play does all steps.
func (s *waitScript) play(t *testing.T, start func(file, probe string) func()) {
	ctx, cancel := context.WithCancel(t.Context())
	h := &hall{values: map[string]string{}, ctx: ctx, at: map[string]string{}, release: map[string]chan struct{}{}, clients: map[string]net.Conn{}}
	for i := range serverCount {
		name := fmt.Sprintf("s%d", i+1)
		h.values[name] = h.serve(t, name)
		h.values[fmt.Sprintf("f%d", i+1)] = labtest.FreeAddr(t).String()
	}
	h.values["cli"], h.values["probe"] = labtest.FreeAddr(t).String(), labtest.FreeAddr(t).String()
	h.values["log"] = h.collect(t)
	defer start((&scenario{config: s.config}).write(t, h.values), h.values["probe"])()
	defer cancel()
	h.listens(t)
	for _, st := range s.steps {
		if err := h.do(st.words); err != nil {
			t.Fatalf("line %d: %s: %v", st.line, strings.Join(st.words, " "), err)
		}
		h.reach(t, st)
	}
}

// listens waits until the stats socket answers.
func (h *hall) listens(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		_, err := h.command("show info")
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// serve runs a server that keeps each client until it is told to answer.
func (h *hall) serve(t *testing.T, name string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: patience, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		client, answer := strings.TrimPrefix(r.URL.Path, "/"), make(chan struct{})
		h.mu.Lock()
		h.at[client], h.release[client] = name, answer
		h.mu.Unlock()
		select {
		case <-answer:
		case <-r.Context().Done():
		case <-h.ctx.Done():
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return l.Addr().String()
}

// collect gathers log lines.
func (h *hall) collect(t *testing.T) string {
	t.Helper()
	c := startCollector(t)
	go func() {
		buf := make([]byte, 8192)
		for {
			n, err := c.conn.Read(buf)
			if err != nil { // the test has ended
				return
			}
			h.mu.Lock()
			h.lines = append(h.lines, string(buf[:n]))
			h.mu.Unlock()
		}
	}()
	return c.conn.LocalAddr().String()
}

// do does what a step says.
func (h *hall) do(words []string) error {
	if len(words) < 2 {
		return fmt.Errorf("what about it?")
	}
	name := words[1]
	switch words[0] {
	case "come":
		return h.come(name, words[2:])
	case "end":
		h.mu.Lock()
		answer := h.release[name]
		delete(h.release, name)
		h.mu.Unlock()
		if answer == nil {
			return fmt.Errorf("no server has it")
		}
		close(answer)
		return nil
	case "leave":
		h.mu.Lock()
		defer h.mu.Unlock()
		h.at[name] = "left"
		return h.clients[name].Close()
	case "cli":
		said, err := h.command(strings.Join(words[1:], " "))
		h.said = said
		return err
	}
	return fmt.Errorf("unknown step")
}

// come has a client connect and ask: [fN] [header:value]…
func (h *hall) come(name string, words []string) error {
	front := "f1"
	if len(words) > 0 && strings.HasPrefix(words[0], "f") {
		front, words = words[0], words[1:]
	}
	c, err := net.DialTimeout("tcp", h.values[front], patience)
	if err != nil {
		return err
	}
	_ = c.SetDeadline(time.Now().Add(6 * patience))
	context.AfterFunc(h.ctx, func() { _ = c.Close() })
	h.mu.Lock()
	h.clients[name], h.at[name] = c, "waits"
	h.mu.Unlock()
	head := "GET /" + name + " HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
	for _, w := range words {
		head += w + "\r\n"
	}
	if _, err := io.WriteString(c, head+"\r\n"); err != nil {
		return err
	}
	time.Sleep(2 * time.Millisecond) // HAProxy's queues are ordered by milliseconds
	go func() {
		got := "closed"
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
			got = strconv.Itoa(resp.StatusCode)
			resp.Body.Close()
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.at[name] != "left" {
			h.at[name] = got
		}
	}()
	return nil
}

// command asks the stats socket.
func (h *hall) command(line string) (string, error) {
	c, err := net.Dial("tcp", h.values["cli"])
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		return "", err
	}
	b, err := io.ReadAll(c)
	return string(b), err
}

// reach waits until all that a step expects holds at one moment.
func (h *hall) reach(t *testing.T, st waitStep) {
	t.Helper()
	var missed string
	for end := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		if missed = h.missed(st.expected); missed == "" {
			return
		}
		if time.Now().After(end) {
			break
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	t.Fatalf("line %d: %s: not so: %s\nclients: %v\nsaid: %s\nlog:\n%s", st.line, strings.Join(st.words, " "), missed, h.at, h.said, strings.Join(h.lines, "\n"))
}

// missed is the first expectation that does not hold, with what holds instead; "" if all do. Columns are looked at before
// clients, so that who is counted as one who waits has been judged.
func (h *hall) missed(expected [][]string) string {
	var rows map[string]map[string]string
	if slices.ContainsFunc(expected, func(e []string) bool { return strings.Contains(e[0], "/") }) {
		csv, err := h.command("show stat")
		if err != nil {
			return err.Error()
		}
		rows = table(csv)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range expected {
		line := strings.Join(e, " ")
		switch row := rows[e[0]]; {
		case e[0] == "log":
			want := strings.TrimPrefix(line, "log ")
			if !slices.ContainsFunc(h.lines, func(l string) bool { return strings.Contains(l, want) }) {
				return line
			}
		case e[0] == "says":
			if !strings.Contains(h.said, strings.TrimPrefix(line, "says ")) {
				return line
			}
		case strings.Contains(e[0], "/"):
			for _, pair := range e[1:] {
				column, want, _ := strings.Cut(pair, "=")
				if got, ok := row[column]; !ok || got != want {
					return fmt.Sprintf("%s %s, but %s", e[0], pair, got)
				}
			}
		case len(e) != 2 || h.at[e[0]] != e[1]:
			return line + ", but " + h.at[e[0]]
		}
	}
	return ""
}

// table reads `show stat`: rows by proxy/server.
func table(csv string) map[string]map[string]string {
	lines := strings.Split(strings.TrimPrefix(csv, "# "), "\n")
	names := strings.Split(lines[0], ",")
	rows := make(map[string]map[string]string)
	for _, line := range lines[1:] {
		row := make(map[string]string)
		for i, v := range strings.Split(line, ",") {
			if i < len(names) {
				row[names[i]] = v
			}
		}
		rows[row["pxname"]+"/"+row["svname"]] = row
	}
	return rows
}
