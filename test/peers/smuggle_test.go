package peers

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
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

var (
	ambiguous     = flag.Int("ambiguous", 800, "how many made messages each of the tests TestAmbiguous… compares")
	ambiguousSeed = flag.Uint64("ambiguous-seed", 1, "what the made messages come from; 0: others each time, to look for differences that nobody knows yet")
)

// smuggleConfig has the server learn the client's port, by which its connections are told apart, and nobody share one.
const smuggleConfig = `
global
    log stdout local0 emerg
defaults
    mode http
    timeout connect 2s
    timeout client 1s
    timeout http-request 1s
    timeout http-keep-alive 1s
    timeout server 3s
    http-reuse never
listen web
    bind %s %s
    option forwardfor
    server a %s send-proxy
`

// relayed is a contender with a server of its own behind it, which writes down what it is sent.
type relayed struct {
	addr string
	*recorder
}

func startRelayed(t *testing.T, contender, bind string) relayed {
	t.Helper()
	rec := record(t)
	addr := labtest.FreeAddr(t).String()
	contend(t, contender, fmt.Sprintf(smuggleConfig, addr, bind, rec.addr), addr)
	return relayed{addr, rec}
}

// outcome is what became of one client's bytes: the statuses it got, and the requests that the server was sent.
type outcome struct {
	statuses []string
	requests []asked
}

func (o outcome) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "statuses %v", o.statuses)
	for _, a := range o.requests {
		fmt.Fprintf(&b, "\n    %s", a)
	}
	return b.String()
}

// try sends bytes on a connection of their own and waits until both sides have closed.
func (r relayed) try(in string) (outcome, error) {
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		return outcome{}, err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	port := c.LocalAddr().(*net.TCPAddr).Port
	r.forget(port)
	_, _ = io.WriteString(c, in)
	answers, _ := io.ReadAll(c) // may end in a reset
	o := outcome{statuses: statuses(string(answers))}
	o.requests = r.of(port)
	return o, nil
}

// statuses are those of the answers in a stream; no body here has that in it.
func statuses(answers string) (all []string) {
	for i, answer := range strings.Split(answers, "HTTP/1.") {
		if fields := strings.Fields(answer); i > 0 && len(fields) > 1 {
			all = append(all, fields[1])
		}
	}
	return all
}

// insist has both contenders try, and again where they differ: one of them may have been kept from its work until a timeout
// struck, and what is a difference in truth is one each time.
func insist[C, O any](c C, waggle, haproxy func(C) (O, error), laxer func(ours, theirs O) string) (ours, theirs O, why string, err error) {
	for range 3 {
		var err2 error
		ours, err = waggle(c)
		theirs, err2 = haproxy(c)
		if err = errors.Join(err, err2); err != nil {
			return ours, theirs, "", err
		}
		if why = laxer(ours, theirs); why == "" {
			break
		}
	}
	return ours, theirs, why, nil
}

// laxer says in which way waggle shows a server what HAProxy does not, "" if in none: each request has to be one that
// HAProxy sends too, in the same order, with the same fields and body.
func laxer(ours, theirs outcome) string {
	if len(ours.requests) > len(theirs.requests) {
		return "more requests"
	}
	for i, a := range ours.requests {
		if diff := a.differs(theirs.requests[i]); diff != "" {
			return diff
		}
	}
	return ""
}

// TestAmbiguousRequestsAsHAProxy sends what may be read in two ways, the corpus and made requests, through waggle and
// HAProxy to servers that write down each byte. What waggle passes on HAProxy must pass on too, alike: a server that is
// safe behind the one is safe behind the other.
func TestAmbiguousRequestsAsHAProxy(t *testing.T) {
	require.Tool(t, "haproxy")
	waggle, haproxy := startRelayed(t, "waggle", ""), startRelayed(t, "haproxy", "")
	cases := slices.Concat(readAmbiguous(t, "requests"), made(t, grammar.stream))
	forwarded := compareRelayed(t, cases, 64, waggle.try, haproxy.try, laxer)
	if forwarded < len(cases)/4 {
		t.Errorf("only %d requests of %d streams were forwarded: too little is compared", forwarded, len(cases))
	}
}

// compareRelayed has both relay each case, some at a time, and fails where waggle is laxer. It returns how many requests waggle has
// forwarded.
func compareRelayed[C any](t *testing.T, cases []C, atOnce int, waggle, haproxy func(C) (outcome, error), laxer func(ours, theirs outcome) string) (forwarded int) {
	t.Helper()
	stricter := 0
	var mu sync.Mutex
	inParallel(len(cases), atOnce, func(i int) {
		ours, theirs, why, err := insist(cases[i], waggle, haproxy, laxer)
		shown := fmt.Sprintf("%q", any(cases[i]))
		if err != nil {
			t.Errorf("%s: %v", shown, err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		forwarded += len(ours.requests)
		less := len(ours.requests) < len(theirs.requests)
		if less {
			stricter++
		}
		if why != "" {
			t.Errorf("%s: %s\n  waggle  %v\n  HAProxy %v", why, shown, ours, theirs)
		} else if os.Getenv("WAGGLE_TEST_STRICTER") != "" && less {
			t.Logf("stricter: %s\n  waggle  %v\n  HAProxy %v", shown, ours, theirs)
		}
	})
	t.Logf("%d cases: %d requests forwarded, waggle forwards less in %d cases", len(cases), forwarded, stricter)
	return forwarded
}

// made are as many cases as are asked for, by a grammar whose seed is logged. It is the same each time if no other one is asked for: what
// fails then is due to a change.
func made[C any](t *testing.T, one func(grammar) C) (cases []C) {
	t.Helper()
	seed := *ambiguousSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	g := grammar{Rand: rand.New(rand.NewPCG(seed, 0))}
	for i := range *ambiguous {
		g.calm = 1 << (i % 6)
		cases = append(cases, one(g))
	}
	return cases
}

// readAmbiguous reads a corpus: a Go string a line.
func readAmbiguous(t *testing.T, of string) (cases []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/ambiguous-" + of + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		in, err := strconv.Unquote(line)
		if err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		cases = append(cases, in)
	}
	return cases
}

// inParallel calls do for each number below n, several at a time.
func inParallel(n, workers int, do func(int)) {
	work := make(chan int)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range work {
				do(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
}

// grammar makes streams of requests of valid, doubtful and broken parts. The calmer, the fewer of these.
type grammar struct {
	*rand.Rand
	calm int
}

func (g grammar) pick(parts ...string) string { return parts[g.IntN(len(parts))] }

// or is usual, but once in n times one of the rest.
func (g grammar) or(n int, usual string, rest ...string) string {
	if g.IntN(n*g.calm) == 0 {
		return g.pick(rest...)
	}
	return usual
}

// hidden is a request that only who reads the one before otherwise than we do takes for one.
const hidden = "GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n"

// stream is one or two requests, now and then with a few bytes changed, and one that asks to close.
func (g grammar) stream() string {
	var b strings.Builder
	for range 1 + g.IntN(2) {
		b.WriteString(g.request())
	}
	s := []byte(b.String())
	for g.IntN(1+g.calm) == 0 && g.IntN(3) > 0 {
		s = g.mutate(s)
	}
	return string(s) + "GET /last HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
}

func (g grammar) mutate(s []byte) []byte {
	odd := "\r\n\t \x00\x0b\x0c\x1f\x7f\x80\x85\xa0\xff:;,\"#0aA-+_"
	at := g.IntN(len(s))
	switch g.IntN(4) {
	case 0:
		return slices.Insert(s, at, odd[g.IntN(len(odd))])
	case 1:
		s[at] = odd[g.IntN(len(odd))]
		return s
	case 2:
		return slices.Delete(s, at, min(len(s), at+1+g.IntN(3)))
	default: // a piece twice
		end := min(len(s), at+1+g.IntN(40))
		return slices.Insert(s, end, slices.Clone(s[at:end])...)
	}
}

func (g grammar) eol() string {
	return g.or(50, "\r\n", "\n", "\r", "\r\r\n", "\n\r\n", "\r\n ", "\x00\r\n")
}

func (g grammar) request() string {
	method := g.or(6, g.pick("GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE"), "get", "G@T", "CONNECT", "TRACE", "PRI", "X-Y", "GE\tT", "", "PATCH")
	target := g.or(5, g.pick("/", "/a?b=c"), "http://t/", "http://u/", "http://t:80/", "HTTP://t", "http://", "https://t/x", "*", "t", "t:80", "/a#b", "/a b", "/%00", "/\x7f",
		"/\xff", "//t/", "/..//a", "http://t@u/", "ftp://t/", "/a\tb", "?x", "http:///x", "http://t?x", "/%", "/\\", "http://[::1]/", "/a HTTP/1.1 b")
	version := g.or(6, "HTTP/1.1", "HTTP/1.0", "HTTP/1.0", "HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/1.10", "http/1.1", "HTTP/1.1 ", "HTTP/ 1.1", "HTTP/01.1", "HTTP/1,1", "HTTP/+1.1", "")
	space := func() string { return g.or(40, " ", "  ", "\t", "\x0b", "\xa0") }
	line := g.or(30, "", "\r\n", "\n", "\r\n\r\n", " ", "\r") + method + space() + target + space() + version + g.eol()
	if g.IntN(60) == 0 {
		line = "GET /\r\n"
	}
	head := g.field(g.or(12, "Host", "host", "Host ", "X-H", "Host\x00", " Host"), g.or(10, "t", "u", "t:80", "t, u", "", "t ", "t\x00", "t/", "t@u", "t u", "[::1]", "T", "t:", "t:x"))
	for range g.IntN(4) {
		head += g.other()
	}
	framing, body := g.body()
	if g.IntN(2) == 0 {
		head = framing + head
	} else {
		head += framing
	}
	return line + head + g.or(60, "\r\n", "\n", "\r", "\r\r\n", " \r\n") + body
}

func (g grammar) field(name, value string) string {
	colon := g.or(40, ":", " :", "\t:", "", "::", "\r\n:", ":\r\n ", ":\x00", "=")
	return g.or(60, "", " ", "\t", "\x00", "\r", "\x0b") + name + colon + g.or(8, " ", "", "\t", "  ", "\x0b", "\x0c", "\xa0", "\r") + value + g.or(20, "", " ", "\t", "\x0b", "\x0c", "\x00", "\r", ",") + g.eol()
}

// other is a field that does not say how long the message is, or should not.
func (g grammar) other() string {
	if g.IntN(2*g.calm) == 0 { // which hardly any proxy takes
		return g.pick(g.field("Host", g.pick("t", "u", "")),
			g.field(g.pick("X A", "X\x00A", "X\x7f", "X\x80", "", "X(A)", "X/A", "\"X\"", "X\xc3\xa9"), "v"),
			g.field("X-A", g.pick("a\x01", "a\x7f", "a\x1b", "x\x00y")))
	}
	switch g.IntN(6) {
	case 0:
		return g.field("Connection", g.pick("close", "keep-alive", "close, X-A", "X-A", "Host", "Content-Length", "Transfer-Encoding", "Upgrade", "TE", "close, keep-alive", "\"close\"", "X-Forwarded-For", "close;x"))
	case 1:
		return g.field("Upgrade", g.pick("h2c", "websocket", "TLS/1.0", "h2c, websocket", "")) + g.field("Connection", "Upgrade") +
			g.pick("", g.field("Sec-WebSocket-Key", g.pick("dGhlIHNhbXBsZSBub25jZQ==", "x")))
	case 2:
		return g.field("Expect", g.pick("100-continue", "100-Continue", "x", "100-continue, x", ""))
	case 3:
		return g.field(g.pick("TE", "Trailer", "Keep-Alive", "Proxy-Connection", "HTTP2-Settings", "Te"), g.pick("trailers", "gzip, trailers", "Content-Length", "X-A", "300"))
	case 4:
		return g.field("X-Forwarded-For", g.pick("1.2.3.4", "", "\xff"))
	default:
		return g.field(g.pick("X-A", "X_A", "Content_Length", "Transfer_Encoding"), g.pick("v", "", "\xe9", "a,b", strings.Repeat("y", 200)))
	}
}

// body gives the fields that say how long a body is, and a body.
func (g grammar) body() (fields, body string) {
	length := func(n int) string {
		return g.field(g.or(15, "Content-Length", "content-length", "Content-Length ", "Content_Length", "Content-Length\x00", "Content-length"),
			g.or(6, strconv.Itoa(n), "+"+strconv.Itoa(n), "0"+strconv.Itoa(n), "-0", fmt.Sprintf("%d,%d", n, n), fmt.Sprintf("%d, %d", n, n), "0x"+strconv.FormatInt(int64(n), 16), fmt.Sprintf("%d, 0", n), "", " ",
				"1e1", "99999999999999999999", "18446744073709551616", "9223372036854775808", "-1", "4 4", "4\x00", "\"4\"", "4;x", "٤", "0"))
	}
	coding := func() string {
		return g.field(g.or(15, "Transfer-Encoding", "transfer-encoding", "Transfer-Encoding ", "Transfer_Encoding", "Transfer-Encoding\x0b", "X-Transfer-Encoding", "Transfer-encoding"),
			g.or(4, "chunked", "Chunked", "identity", "gzip, chunked", "chunked, gzip", "chunked, identity", "identity, chunked", "xchunked", "chunked;x", "chunked, chunked", ",chunked", "chunked,", "\"chunked\"", "x", "",
				"chunked\x0b", "\x0bchunked", "chu\x00nked", "chunked\xa0", "cow", "trailers, chunked", "gzip;q=1,chunked", "CHUNKED", "chunked chunked"))
	}
	kind := g.IntN(7)
	if g.IntN(4*g.calm) == 0 {
		kind = 7
	}
	switch kind {
	case 0, 1:
		return "", ""
	case 2, 3:
		payload := g.pick("", "abcd", hidden, "0\r\n\r\n")
		return length(len(payload)) + g.or(12, "", length(len(payload)), length(0)), payload
	case 4, 5, 6:
		return coding() + g.or(12, "", coding()), g.chunks()
	default: // both
		payload := g.chunks()
		return g.pick(coding()+length(len(payload)), length(len(payload))+coding(), coding()+length(4), length(0)+coding(), coding()+length(0)), payload
	}
}

func (g grammar) chunks() string {
	var b strings.Builder
	for range g.IntN(3) {
		payload := g.pick("a", "abcd", hidden, "0\r\n\r\n", "\r\n")
		size := strconv.FormatInt(int64(len(payload)), 16)
		b.WriteString(g.or(8, size, strings.ToUpper(size), "0"+size, "000000000000000000000"+size, "0x"+size, "+"+size, "-"+size, " "+size, size+" ", size+"\t", "", "ffffffffffffffff", "10000000000000000",
			"100000000"+size, size+"\x00", "g", "7fffffffffffffff", size+"_0", size+"\x0b", "\r\n"+size, size+".0"))
		b.WriteString(g.or(6, "", ";x", ";x=y", ";x=\"y\"", ";", ";\n", ";x=\"\r\n", ";x\r", " ;x", "; x=y", ";x\x00", "\x00;x", ";"+strings.Repeat("e", 40), " x", ",x", ";\xff", ";x\ny"))
		b.WriteString(g.or(25, "\r\n", "\n", "\r", "\r\r\n", "\n\r"))
		b.WriteString(payload)
		b.WriteString(g.or(25, "\r\n", "\n", "\r", "", "xx", "\r\r\n", "\r\n\r\n", "x\r\n"))
	}
	b.WriteString(g.or(12, "0", "00", "000000000000000000", "-0", "0x0", "0 ", " 0", "", "0;x", "0\x00"))
	b.WriteString(g.or(25, "\r\n", "\n", "\r", "\r\r\n"))
	for range max(0, g.IntN(4)-2) {
		b.WriteString(g.field(g.pick("X-T", "Content-Length", "Transfer-Encoding", "Host", "Authorization", "X-Forwarded-For", "Trailer"), g.pick("v", "0", "chunked", "1.2.3.4")))
	}
	b.WriteString(g.or(25, "\r\n", "\n", "\r", "", "\r\r\n", " \r\n", "x\r\n"))
	return b.String()
}
