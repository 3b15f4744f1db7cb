package proxy

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var updateCorpus = flag.Bool("update-corpus", false, "write what happens into testdata/corpus")

// A corpus is a file of cases, a line for each: its name and what is sent, as Go strings, and behind them the
// outcome in words.
const corpusHead = `# Malformed and smuggling messages, each with its outcome: name, bytes, outcome. Checked by TestCorpus.
`

type corpusCase struct{ name, in, outcome string }

func readCorpus(t *testing.T, file string) (cases []corpusCase) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		var c corpusCase
		for _, to := range []*string{&c.name, &c.in} {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				t.Fatalf("%s: %v in %q", file, err, line)
			}
			*to, _ = strconv.Unquote(quoted)
			line = strings.TrimPrefix(line[len(quoted):], " ")
		}
		c.outcome = line
		cases = append(cases, c)
	}
	return cases
}

// checkCorpus runs each case of a file and compares.
func checkCorpus(t *testing.T, name string, run func(t *testing.T, in string) string) {
	file := "testdata/corpus/" + name + ".txt"
	cases := readCorpus(t, file)
	var out strings.Builder
	out.WriteString(corpusHead)
	for _, c := range cases {
		got := run(t, c.in)
		if got != c.outcome && !*updateCorpus {
			t.Errorf("%s: %q\n got %s\nwant %s", c.name, c.in, got, c.outcome)
		}
		fmt.Fprintf(&out, "%q %q %s\n", c.name, c.in, got)
	}
	if *updateCorpus {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCorpus sends every case through an engine and looks at both ends. For requests the outcome is the statuses that
// the client got and what a server, which reads as net/http does, was asked; for responses what the client got. A
// request that follows must find everything in order.
func TestCorpus(t *testing.T) {
	t.Run("requests", func(t *testing.T) {
		var j journal
		server, gone := j.listing(t)
		w := start(t, []netip.AddrPort{server})
		over := func() bool { // all connections have been closed and read to their ends, but for those that are kept
			return w.engine.Sessions() == 0 && uint64(gone.Load())+uint64(w.idle()) == w.pool.Backend("be").Counters.Sum().Connects
		}
		checkCorpus(t, "requests", func(t *testing.T, in string) string {
			before := len(j.list())
			statuses := w.statuses(in)
			eventually(t, "all is over", over)
			asked := j.list()[before:]
			c := w.dial()
			if status, body := c.get("/after"); status != 200 || body != "GET /after" {
				t.Errorf("after %q: %d %q", in, status, body)
			}
			c.Close()
			eventually(t, "all is over", over)
			return fmt.Sprintf("client %s; server %s", list(statuses), list(asked))
		})
	})
	t.Run("responses", func(t *testing.T) {
		answers := make(chan string, 1)
		w := start(t, []netip.AddrPort{listen(t, func(c net.Conn, r *bufio.Reader) {
			if _, err := readHead(r); err == nil {
				_, _ = io.WriteString(c, <-answers)
			}
		})})
		checkCorpus(t, "responses", func(t *testing.T, in string) string {
			answers <- in
			got := w.received()
			answers <- corpusGood
			if status, body := w.dial().get("/after"); status != 200 || body != "good" {
				t.Errorf("after %q: %d %q", in, status, body)
			}
			return got
		})
	})
}

const corpusGood = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\ngood"

// listing runs a server that notes and echoes method, target and length of body of each request. It counts the connections that
// it has read to their end.
func (j *journal) listing(t *testing.T) (addr netip.AddrPort, gone *atomic.Int64) {
	gone = new(atomic.Int64)
	return listen(t, func(c net.Conn, r *bufio.Reader) {
		defer gone.Add(1)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				if err != io.EOF && err != io.ErrUnexpectedEOF {
					j.add("junk")
				}
				return
			}
			body, err := io.ReadAll(req.Body)
			text := req.Method + " " + req.RequestURI
			if len(body) > 0 {
				text += fmt.Sprintf(" +%d", len(body))
			}
			if err != nil { // the proxy broke off: a request that no server serves
				return
			}
			j.add(text)
			answer := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(text))
			if req.Method != "HEAD" {
				answer += text
			}
			_, _ = io.WriteString(c, answer)
		}
	}), gone
}

// list renders words, - for none.
func list(words []string) string {
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, ", ")
}

// statuses sends bytes, then FIN, and gives the statuses of all answers.
func (w *world) statuses(in string) (all []string) {
	c := w.dial()
	defer c.Close()
	_, _ = io.WriteString(c.TCPConn, in)
	_ = c.CloseWrite()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	answers, _ := io.ReadAll(c.r)
	for i, answer := range strings.Split(string(answers), "HTTP/1.") { // no body here has that in it
		if i > 0 {
			all = append(all, strings.Fields(answer)[1])
		}
	}
	return all
}

// received asks for something and says what came: status, body, and whether it can be seen to be whole.
func (w *world) received() string {
	c := w.dial()
	defer c.Close()
	c.send("GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
	raw, _ := io.ReadAll(c.r)
	r := bufio.NewReader(bytes.NewReader(raw))
	var words []string
	for {
		resp, err := http.ReadResponse(r, &http.Request{Method: "GET"})
		if err != nil {
			if rest, _ := io.ReadAll(r); len(rest) > 0 {
				words = append(words, "junk")
			}
			return list(words)
		}
		body, err := io.ReadAll(resp.Body)
		word := fmt.Sprint(resp.StatusCode)
		switch {
		case resp.StatusCode >= 500:
		case err != nil:
			word += fmt.Sprintf(" %q cut", body)
		case len(body) > 0:
			word += fmt.Sprintf(" %q", body)
		}
		words = append(words, word)
	}
}
