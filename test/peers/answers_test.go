package peers

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
)

// answersConfig shares no connections, of which one may just be closing: leftovers on them are pkg/proxy's to test.
const answersConfig = `
defaults
    mode http
    timeout connect 2s
    timeout client 3s
    timeout server 1s
    http-reuse never
    retries 0
listen web
    bind %s
    server a %s
`

// playing is a server that answers GET /N with bytes N of a list, and anything else well. It closes a connection behind the
// bytes: whatever end the body has, it is there.
func playing(t *testing.T, answers []string) (addr string) {
	t.Helper()
	return serve(t, func(c net.Conn) { play(c, answers) })
}

func play(c net.Conn, answers []string) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	in := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		n, err := strconv.Atoi(strings.TrimPrefix(req.URL.Path, "/"))
		if err == nil {
			_, _ = io.WriteString(c, answers[n])
			_ = c.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, in) // a reset would take away what has not been read
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	}
}

// received gives what a client that asked with a method on a connection of its own got, message by message.
func received(addr, method string, n int) (all []asked, err error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(c, "%s /%d HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", method, n)
	raw, _ := io.ReadAll(c)
	in := bufio.NewReader(bytes.NewReader(raw))
	for {
		if _, err := in.Peek(1); err != nil {
			return all, nil
		}
		a := read(in, func(line string, fields []string) bodyEnd {
			words := strings.Fields(line)
			if len(words) < 2 || method == "HEAD" || words[1][0] == '1' || words[1] == "204" || words[1] == "304" {
				return noBody
			}
			return byClosing
		})
		all = append(all, a)
		if a.junk != "" {
			return all, nil
		}
	}
}

// laxerAnswer says in which way a client of waggle gets what one of HAProxy does not. An answer that is broken off is not
// taken by any client; whether HAProxy refuses it before it has begun depends on how much it happened to read at once.
func laxerAnswer(ours, theirs []asked) string {
	ours, theirs = final(ours), final(theirs)
	for i, a := range ours {
		switch {
		case a.junk != "":
			return "junk"
		case a.cut, strings.HasPrefix(a.line, "502"):
			return ""
		case i >= len(theirs):
			return "more answers"
		}
		if diff := a.differs(theirs[i]); diff != "" {
			return diff
		}
	}
	return ""
}

// final are the answers but for the interim ones, their lines without the version, since a server's of 1.0 is not passed on,
// and with single blanks.
func final(all []asked) (kept []asked) {
	for _, a := range all {
		_, status, _ := strings.Cut(a.line, " ")
		a.line = strings.Join(strings.Fields(status), " ")
		if !strings.HasPrefix(a.line, "1") {
			kept = append(kept, a)
		}
	}
	return kept
}

// TestAmbiguousAnswersAsHAProxy has a server give answers that may be read in two ways. What a client of waggle gets one of
// HAProxy must get too, alike.
func TestAmbiguousAnswersAsHAProxy(t *testing.T) {
	require.Tool(t, "haproxy")
	answers := slices.Concat(readAmbiguous(t, "answers"), made(t, grammar.answers))
	server := playing(t, answers)
	addrs := map[string]string{}
	for _, contender := range []string{"waggle", "haproxy"} {
		addr := labtest.FreeAddr(t).String()
		contend(t, contender, fmt.Sprintf(answersConfig, addr, server), addr)
		addrs[contender] = addr
	}
	var taken, stricter int
	var mu sync.Mutex
	inParallel(len(answers), 32, func(i int) {
		method := []string{"GET", "GET", "GET", "HEAD"}[i%4]
		ask := func(contender string) func(int) ([]asked, error) {
			return func(i int) ([]asked, error) { return received(addrs[contender], method, i) }
		}
		ours, theirs, why, err := insist(i, ask("waggle"), ask("haproxy"), laxerAnswer)
		if err != nil {
			t.Errorf("%q: %v", answers[i], err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		last := final(ours)
		refused := len(last) > 0 && strings.HasPrefix(last[0].line, "502")
		if !refused {
			taken++
		}
		if why != "" {
			t.Errorf("%s: to %s %q\n  waggle  %v\n  HAProxy %v", why, method, answers[i], ours, theirs)
		} else if them := final(theirs); refused && len(them) > 0 && them[0].line != last[0].line {
			stricter++
			if os.Getenv("WAGGLE_TEST_STRICTER") != "" {
				t.Logf("stricter: to %s %q\n  waggle  %v\n  HAProxy %v", method, answers[i], ours, theirs)
			}
		}
	})
	t.Logf("%d answers: %d passed on, waggle refuses %d that HAProxy does not", len(answers), taken, stricter)
	if taken < len(answers)/4 {
		t.Errorf("only %d of %d answers were passed on: too little is compared", taken, len(answers))
	}
}

// answers is one answer, now and then behind interim ones or before another, with a few bytes changed or cut.
func (g grammar) answers() string {
	var b strings.Builder
	for g.IntN(8) == 0 {
		b.WriteString(g.pick("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "HTTP/1.1 199 X\r\nContent-Length: 3\r\n\r\n", "HTTP/1.0 100 Continue\r\n\r\n",
			"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"))
	}
	b.WriteString(g.answer())
	if g.IntN(8) == 0 {
		b.WriteString(g.answer())
	}
	s := []byte(b.String())
	for g.IntN(1+g.calm) == 0 && g.IntN(3) > 0 {
		s = g.mutate(s)
	}
	if g.IntN(12) == 0 {
		s = s[:g.IntN(len(s))]
	}
	return string(s)
}

func (g grammar) answer() string {
	line := g.or(8, "HTTP/1.1", "HTTP/1.0", "HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "ICY", "http/1.1", "HTTP/1.1 ", "HTTP/1,1", "", "HTTP/1.10", " HTTP/1.1") + " " +
		g.or(6, g.pick("200", "204", "304", "404", "500", "200"), "099", "600", "999", "20", "2000", "+20", "20x", "", "205", "101", "1", "0200") +
		g.or(8, " OK", "", " ", " O\x00K", " \xff", " a\tb", " a\rb", "\tOK", " 200") + g.eol()
	head := ""
	for range g.IntN(4) {
		if g.IntN(3*g.calm) == 0 {
			head += g.field(g.pick("X A", "X\x00A", "X\x7f", "", "X(A)", "X/A", "X-A"), g.pick("v", "a\x01", "a\x7f"))
			continue
		}
		head += g.field(g.pick("Connection", "Upgrade", "Keep-Alive", "Trailer", "Set-Cookie", "X-A", "Date", "Content-Type", "Proxy-Connection"),
			g.pick("close", "keep-alive", "upgrade", "websocket", "h2c", "x", "", "Content-Length", "a,b", "\xe9", "timeout=5"))
	}
	framing, body := g.body()
	if g.IntN(2) == 0 {
		head = framing + head
	} else {
		head += framing
	}
	if g.IntN(10) == 0 {
		body = g.pick("rest", "", strings.Repeat("z", 5000))
	}
	return line + head + g.or(60, "\r\n", "\n", "\r", "\r\r\n", " \r\n") + body
}
