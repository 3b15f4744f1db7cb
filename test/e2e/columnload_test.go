package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// webClient is a client's connection to http_in, which notes what it sees.
type webClient struct {
	b       *columnsLab
	front   []string // the rows of where it has connected to
	conn    *countedConn
	r       *bufio.Reader
	in, out atomic.Int64
}

func (b *columnsLab) web() *webClient {
	b.t.Helper()
	return b.webAt(httpPort, "http_in/FRONTEND")
}

func (b *columnsLab) webAt(port int, rows ...string) *webClient {
	b.t.Helper()
	conn, err := b.dial(port)
	if err != nil {
		b.t.Fatal(err)
	}
	c := &webClient{b: b, front: rows}
	c.conn = &countedConn{Conn: conn, in: &c.in, out: &c.out}
	c.r = bufio.NewReader(c.conn)
	c.note("stot")
	b.truth.add(rows[0], "conn_tot", 1)
	return c
}

// note counts one more in each row of the frontend.
func (c *webClient) note(column string) {
	for _, row := range c.front {
		c.b.truth.add(row, column, 1)
	}
}

// bytes notes what has passed since the last time in the rows.
func (c *webClient) bytes(rows ...string) {
	in, out := c.out.Swap(0), c.in.Swap(0)
	for _, row := range append(rows, c.front...) {
		c.b.truth.add(row, "bin", in)
		c.b.truth.add(row, "bout", out)
	}
}

// ask makes a request. backend is the one that it goes to, "" for none; the server is the one that says so, or the one given.
func (c *webClient) ask(method, target, body, backend, server string) (status int) {
	b := c.b
	b.t.Helper()
	request := fmt.Sprintf("%s %s HTTP/1.1\r\nhost: x\r\n", method, target)
	if body != "" {
		request += fmt.Sprintf("content-length: %d\r\n", len(body))
	}
	if _, err := io.WriteString(c.conn, request+"\r\n"+body); err != nil {
		b.t.Fatalf("%s %s: %v", method, target, err)
	}
	resp, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, target, err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	if cut := target == "/cut"; (err != nil) != cut {
		b.t.Fatalf("%s %s: %v", method, target, err)
	}
	class := fmt.Sprintf("hrsp_%dxx", resp.StatusCode/100)
	if s := resp.Header.Get("x-server"); s != "" {
		server = s
		b.truth.add(backend+"/"+server, class, 1)
		b.truth.add(backend+"/"+server, "req_tot", 1)
	}
	rows := []string{}
	if backend != "" {
		rows = append(rows, backend+"/BACKEND")
		b.truth.add(backend+"/BACKEND", "stot", 1)
		b.truth.add(backend+"/BACKEND", "req_tot", 1)
		b.truth.add(backend+"/BACKEND", class, 1)
	}
	if server != "" {
		rows = append(rows, backend+"/"+server)
		b.truth.add(backend+"/"+server, "stot", 1)
		b.truth.add(backend+"/"+server, "lbtot", 1)
		b.truth.add(backend+"/BACKEND", "lbtot", 1)
	}
	b.truth.add(c.front[0], "req_tot", 1)
	b.truth.add(c.front[0], class, 1)
	c.bytes(rows...)
	if resp.Close {
		c.conn.Close()
	}
	return resp.StatusCode
}

func (c *webClient) close() { c.conn.Close() }

// load is what the balancer has to carry.
func (b *columnsLab) load(c contender) {
	b.answered()
	b.refusedByRules()
	b.malformed()
	b.countedByAddress()
	b.failing()
	b.abortedWeb()
	b.rejected()
	b.tcp(c)
	b.tcpAborts()
	b.tcpFailing(c)
}

// answered: statuses, sizes and methods over kept connections.
func (b *columnsLab) answered() {
	all, longest := time.Now(), time.Duration(0)
	for range 3 {
		c := b.web()
		for _, status := range []int{200, 201, 204, 301, 304, 404, 410, 500, 503} {
			c.ask("GET", fmt.Sprintf("/status/%d", status), "", "web", "")
		}
		for _, size := range []int{0, 1, 1000, 100_000} {
			c.ask("GET", fmt.Sprintf("/bytes/%d", size), "", "web", "")
			c.ask("GET", fmt.Sprintf("/chunks/%d", size), "", "web", "")
			c.ask("POST", "/status/200", strings.Repeat("p", size), "web", "")
		}
		c.ask("HEAD", "/bytes/5000", "", "web", "")
		c.ask("DELETE", "/status/204", "", "web", "")
		c.ask("OPTIONS", "/status/200", "", "web", "")
		for range 5 {
			begin := time.Now()
			c.ask("GET", "/slow/20", "", "slow", "")
			longest = max(longest, time.Since(begin))
		}
		c.close()
	}
	for _, row := range []string{"slow/w1", "slow/BACKEND"} {
		for _, column := range []string{"rtime", "rtime_max"} {
			b.bounds[[2]string{row, column}] = [2]int64{20, longest.Milliseconds() + 1}
		}
		for _, column := range []string{"ttime", "ttime_max"} { // a session ends after its client has seen the end
			b.bounds[[2]string{row, column}] = [2]int64{20, time.Since(all).Milliseconds()}
		}
		b.bounds[[2]string{row, "ctime_max"}] = [2]int64{0, longest.Milliseconds()}
	}
}

// refusedByRules: denied by the frontend, by the backend, and after the response; answered by rules.
func (b *columnsLab) refusedByRules() {
	for range 4 {
		c := b.web()
		c.ask("GET", "/own", "", "", "")
		c.ask("GET", "/moved", "", "", "")
		b.truth.add("http_in/FRONTEND", "intercepted", 2)
		c.ask("GET", "/denied", "", "", "")
		b.truth.add("http_in/FRONTEND", "dreq", 1)
		c.close()
		c = b.web()
		c.ask("GET", "/picky", "", "picky", "")
		b.truth.add("http_in/FRONTEND", "dreq", 1)
		b.truth.add("picky/BACKEND", "dreq", 1)
		c.close()
	}
	c := b.web()
	for range 2 { // one of each server
		c.ask("GET", "/secret", "", "web", "")
		b.truth.add("http_in/FRONTEND", "dresp", 1)
		b.truth.add("web/BACKEND", "dresp", 1)
		b.truth.add("web/BACKEND", "lbtot", 1)
	}
	c.close()
}

// countedByAddress goes through a frontend whose addresses are counted one by one.
func (b *columnsLab) countedByAddress() {
	for i := range 3 {
		c := b.webAt(8020, "counted_in/FRONTEND", "counted_in/sock-1")
		c.ask("GET", "/status/200", "", "counted", "")
		c.ask("GET", "/denied", "", "", "")
		c.note("dreq")
		c.close()
		c = b.webAt(8021, "counted_in/FRONTEND", "counted_in/second")
		for range i {
			c.ask("POST", "/bytes/1000", "body", "counted", "")
		}
		fmt.Fprint(c.conn, "NONSENSE\r\n\r\n")
		if _, err := io.Copy(io.Discard, c.r); err != nil {
			b.t.Fatal(err)
		}
		c.note("ereq")
		b.truth.add("counted_in/FRONTEND", "hrsp_4xx", 1)
		b.truth.add("counted_in/FRONTEND", "req_tot", 1)
		c.bytes()
		c.close()
	}
}

func (b *columnsLab) malformed() {
	for _, request := range []string{"GET / HTTP/1.1\r\nbad header\r\n\r\n", "NONSENSE\r\n\r\n", "GET / HTTP/1.1\r\nhost: cut o"} {
		c := b.web()
		fmt.Fprint(c.conn, request)
		if err := c.conn.Conn.(*net.TCPConn).CloseWrite(); err != nil {
			b.t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c.r); err != nil {
			b.t.Fatal(err)
		}
		b.truth.add("http_in/FRONTEND", "ereq", 1)
		b.truth.add("http_in/FRONTEND", "hrsp_4xx", 1)
		b.truth.add("http_in/FRONTEND", "req_tot", 1)
		c.bytes()
		c.close()
	}
}

// failing: servers that refuse, break off, talk nonsense or say nothing.
func (b *columnsLab) failing() {
	for range 2 {
		c := b.web()
		c.ask("GET", "/refusing", "", "refusing", "dead")
		for _, row := range []string{"refusing/BACKEND", "refusing/dead"} {
			b.truth.add(row, "econ", 1)
			b.truth.add(row, "wretr", 2)
			b.truth.add(row, "connect", 3)
		}
		c.close()
	}
	c := b.web()
	for range 6 {
		c.ask("GET", "/moving/1", "", "moving", "")
		b.truth.add("moving/BACKEND", "lbtot", 1) // the dead one is chosen first each time
		for _, row := range []string{"moving/BACKEND", "moving/dead"} {
			b.truth.add(row, "wredis", 1)
			b.truth.add(row, "econ", 0)
			b.truth.add(row, "wretr", 0)
		}
		b.truth.add("moving/dead", "connect", 1)
	}
	c.close()
	c = b.web()
	c.ask("GET", "/empty", "", "empty", "")
	c.close()
	for range 2 {
		c := b.web()
		c.ask("GET", "/cut", "", "faulty", "")
		b.truth.add("faulty/BACKEND", "srv_abrt", 1)
		b.truth.add("faulty/w1", "srv_abrt", 1)
		b.truth.add("faulty/BACKEND", "eresp", 1)
		b.truth.add("faulty/w1", "eresp", 1)
		c.close()
		c = b.web()
		c.ask("GET", "/mute", "", "faulty", "w1")
		c.ask("GET", "/junk", "", "faulty", "w1")
		for _, row := range []string{"faulty/BACKEND", "faulty/w1"} {
			b.truth.add(row, "eresp", 2)
		}
		c.close()
		c = b.web()
		c.ask("GET", "/never", "", "late", "w1")
		b.truth.add("late/BACKEND", "eresp", 1)
		b.truth.add("late/w1", "eresp", 1)
		c.close()
	}
}

// abortedWeb: clients that go while their response comes.
func (b *columnsLab) abortedWeb() {
	for range 3 {
		c := b.web()
		fmt.Fprintf(c.conn, "GET /bytes/50000000 HTTP/1.1\r\nhost: x\r\n\r\n")
		if _, err := http.ReadResponse(c.r, nil); err != nil {
			b.t.Fatal(err)
		}
		c.conn.reset()
		b.truth.add("http_in/FRONTEND", "req_tot", 1)
		b.truth.add("http_in/FRONTEND", "hrsp_2xx", 1)
		b.truth.add("web/BACKEND", "cli_abrt", 1)
		b.truth.add("web/BACKEND", "hrsp_2xx", 1)
		b.truth.add("web/BACKEND", "req_tot", 1)
		b.truth.add("web/BACKEND", "stot", 1)
		b.truth.add("web/BACKEND", "lbtot", 1)
	}
	// How much of it was read cannot be known: these rows' bytes are compared without.
	delete(b.truth["http_in/FRONTEND"], "bout")
	delete(b.truth["http_in/FRONTEND"], "bin")
	for _, row := range []string{"web/BACKEND", "web/w1", "web/w2"} {
		for column := range b.truth[row] {
			if column == "bout" || column == "bin" || row != "web/BACKEND" {
				delete(b.truth[row], column)
			}
		}
	}
}

// rejected: connections that rules refuse.
func (b *columnsLab) rejected() {
	for _, x := range []struct {
		port        int
		row, column string
	}{{8010, "rejecting_in/FRONTEND", "dcon"}, {8011, "choosy_in/FRONTEND", "dses"}} {
		for range 5 {
			conn, err := b.dial(x.port)
			if err == nil {
				_, _ = conn.Read(make([]byte, 1))
				conn.Close()
			}
			b.truth.add(x.row, x.column, 1)
			b.truth.add(x.row, "conn_tot", 1)
		}
	}
}

// raw opens a TCP session and has it go as serveRaw says.
func (b *columnsLab) raw(port int, up, down int, end string) *countedConn {
	b.t.Helper()
	conn, err := b.dial(port)
	if err != nil {
		b.t.Fatal(err)
	}
	c := &countedConn{Conn: conn, in: new(atomic.Int64), out: new(atomic.Int64)}
	if _, err := fmt.Fprintf(c, "%d %d %s\n%s", up, down, end, strings.Repeat("u", up)); err != nil {
		b.t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, c, int64(down)); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// session notes a TCP session that reached a server of a backend.
func (b *columnsLab) session(frontend, backend string, c *countedConn) {
	rows := []string{frontend + "/FRONTEND", backend + "/BACKEND"}
	for _, row := range rows {
		b.truth.add(row, "stot", 1)
		b.truth.add(row, "bin", c.out.Load())
		b.truth.add(row, "bout", c.in.Load())
	}
	b.truth.add(frontend+"/FRONTEND", "conn_tot", 1)
	b.truth.add(backend+"/BACKEND", "lbtot", 1)
	b.truth.add(backend+"/BACKEND", "connect", 1)
}

func (b *columnsLab) tcp(contender) {
	for i := range 200 {
		c := b.raw(tcpPort, i*37%5000, i*113%20000, "close")
		_, _ = c.Read(make([]byte, 1))
		c.Close()
		b.session("tcp_in", "raw", c)
	}
	b.idle("raw/BACKEND", "tcp_in/FRONTEND")
	var held []*countedConn
	begin := time.Now()
	for range 8 {
		held = append(held, b.raw(tcpPort, 1, 1, "wait"))
	}
	time.Sleep(2500 * time.Millisecond) // also since the kernel path's sessions are counted once a second
	b.truth.add("tcp_in/FRONTEND", "smax", 8)
	b.truth.add("raw/BACKEND", "smax", 8)
	for _, name := range []string{"raw/r1", "raw/r2"} {
		b.truth.add(name, "smax", 4)
		b.truth.add(name, "stot", 104)
		b.truth.add(name, "lbtot", 104)
		b.truth.add(name, "connect", 104)
	}
	for _, c := range held {
		c.Close()
		b.session("tcp_in", "raw", c)
	}
	b.idle("raw/BACKEND", "tcp_in/FRONTEND")
	const tick = 10 // ms that the kernel's coarse clock may stand still, at the beginning as at the end
	for _, row := range []string{"raw/r1", "raw/r2", "raw/BACKEND"} {
		most := time.Since(begin).Milliseconds() + tick
		b.bounds[[2]string{row, "ttime_max"}] = [2]int64{2500 - 2*tick, most}
		b.bounds[[2]string{row, "ttime"}] = [2]int64{2500 * 8 / 208 * 9 / 10, most}
	}
}

// idle waits until no session is open, so that the next ones are counted from none.
func (b *columnsLab) idle(rows ...string) {
	b.t.Helper()
	b.eventually("no session is open", func() error {
		got, err := b.counted()
		for _, row := range rows {
			if n := got[row]["scur"]; err == nil && n != 0 {
				err = fmt.Errorf("%s has %d", row, n)
			}
		}
		return err
	})
}

// tcpAborts: sessions that end by RST.
func (b *columnsLab) tcpAborts() {
	for range 6 {
		c := b.raw(tcpPort, 100, 200, "wait")
		c.reset()
		b.session("tcp_in", "raw", c)
		b.truth.add("raw/BACKEND", "cli_abrt", 1)
	}
	for range 4 {
		c := b.raw(tcpPort, 100, 200, "reset")
		_, _ = c.Write([]byte("x"))
		_, _ = c.Read(make([]byte, 1))
		c.Close()
		b.session("tcp_in", "raw", c)
		b.truth.add("raw/BACKEND", "srv_abrt", 1)
		b.truth.add("raw/BACKEND", "eresp", 1)
	}
	var idle [2][]*countedConn
	for range 3 { // nobody says anything any more
		idle[0] = append(idle[0], b.raw(8004, 10, 20, "wait"))
		idle[1] = append(idle[1], b.raw(8005, 10, 20, "wait"))
	}
	for i, name := range []string{"idle", "idle_server"} {
		for _, c := range idle[i] {
			_, _ = c.Read(make([]byte, 1))
			c.Close()
			b.session(name+"_in", []string{"idle_client", "idle_server"}[i], c)
		}
	}
	for row, n := range map[string][2]int64{"idle_client/BACKEND": {3, 0}, "idle_client/r1": {3, 0}, "idle_server/BACKEND": {0, 3}, "idle_server/r1": {0, 3}} {
		b.truth.add(row, "cli_abrt", n[0])
		b.truth.add(row, "srv_abrt", n[1])
		b.truth.add(row, "eresp", 0)
	}
	for _, name := range []string{"raw/r1", "raw/r2"} {
		b.truth.add(name, "cli_abrt", 3)
		b.truth.add(name, "srv_abrt", 2)
		b.truth.add(name, "eresp", 2)
		b.truth.add(name, "stot", 5)
		b.truth.add(name, "lbtot", 5)
		b.truth.add(name, "connect", 5)
	}
}

// tcpFailing: servers that refuse, for good and with another one to go to.
func (b *columnsLab) tcpFailing(contender) {
	for range 5 {
		conn, err := b.dial(8002)
		if err == nil {
			_, _ = conn.Read(make([]byte, 1))
			conn.Close()
		}
		b.truth.add("tcp_refused_in/FRONTEND", "stot", 1)
		b.truth.add("tcp_refused_in/FRONTEND", "conn_tot", 1)
		for _, row := range []string{"raw_refusing/BACKEND", "raw_refusing/dead"} {
			b.truth.add(row, "stot", 1)
			b.truth.add(row, "econ", 1)
			b.truth.add(row, "connect", 1)
			b.truth.add(row, "lbtot", 1)
		}
	}
	for range 4 {
		c := b.raw(8003, 10, 10, "close")
		_, _ = c.Read(make([]byte, 1))
		c.Close()
		b.session("tcp_moving_in", "raw_moving", c)
		b.truth.add("raw_moving/BACKEND", "lbtot", 1)
		b.truth.add("raw_moving/BACKEND", "connect", 1)
		for _, row := range []string{"raw_moving/BACKEND", "raw_moving/dead"} {
			b.truth.add(row, "wredis", 1)
			b.truth.add(row, "econ", 0)
			b.truth.add(row, "wretr", 0)
		}
	}
}
