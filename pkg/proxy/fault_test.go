package proxy

import (
	"net"
	"regexp"
	"testing"
	"time"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
	"waggle/pkg/lab/pki"
)

// faultRow is a connection that comes to nothing, and the line that HAProxy 2.6 writes of it.
type faultRow struct {
	tls    bool     // instead of accept-proxy
	more   []string // lines of the frontend
	sent   string
	format string // error-log-format, "" = HAProxy's line
	want   string
}

const faultFormat = "%ci %ft %b/%s %[fc_err] %[fc_err_str] %Tw/%Tc %ST %B %ts %ac/%fc/%bc/%sc/%rc %{+Q}r"

var faultRows = []faultRow{
	{false, nil, "", "", "CLIENT fe/1: Connection closed while waiting for PROXY protocol header"},
	{false, nil, "PROX", "", "CLIENT fe/1: Truncated PROXY protocol header received"},
	{false, nil, "GET / HTTP/1.0\r\n\r\n", "", "CLIENT fe/1: Received something which does not look like a PROXY protocol header"},
	{false, nil, "PROXY TCP4 1.2.3.4 5.6\r\n", "", "CLIENT fe/1: Received an invalid PROXY protocol header"},
	{false, nil, "GET / HTTP/1.0\r\n\r\n", faultFormat, `127.0.0.1 fe fe/<NOSRV> 15 Received something which does not look like a PROXY protocol header -1/-1 0 0 PR 1/1/0/0/0 "<BADREQ>"`},
	{true, nil, "", "", "CLIENT fe/1: Connection closed during SSL handshake"},
	{true, nil, "\x16\x03\x01", "", "CLIENT fe/1: Connection closed during SSL handshake"},
	{true, nil, "GET / HTTP/1.0\r\n\r\n", "", "CLIENT fe/1: SSL handshake failure"},
	{true, nil, "GET / HTTP/1.0\r\n\r\n", faultFormat, `127.0.0.1 fe~ fe/<NOSRV> 34 SSL handshake failure -1/-1 0 0 PR 1/1/0/0/0 "<BADREQ>"`},
}

func (r faultRow) rows() ruleRow {
	front := []string{"log stdout format raw local0", "option httplog"}
	if r.format != "" {
		front = logRow{format: r.format}.rows().front
		front[1] = "error-" + front[1]
	}
	return ruleRow{front: append(front, r.more...)}
}

// send says what the row wants and closes. The end is sent behind the bytes, never a reset.
func (r faultRow) send(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	_, _ = c.Write([]byte(r.sent))
	_ = c.(*net.TCPConn).CloseWrite()
	for buf := make([]byte, 512); err == nil; {
		_, err = c.Read(buf)
	}
}

var whoAndWhen = regexp.MustCompile(`^127\.0\.0\.1:\d+ \[[^]]*\]`)

// faults runs an engine whose lines of faults come out of the channel, written as the row wants.
func faults(t *testing.T, row faultRow) (*world, chan string) {
	t.Helper()
	lines := make(chan string, 16)
	kind := option(acceptProxy)
	if row.tls {
		kind = secured(t, pki.New(t))
	}
	w := startText(t, row.rows(), witness(t), kind, func(setup *Setup, _, _ *config.Proxy) {
		setup.Access = func(p *config.Proxy, e *accesslog.Entry) {
			e.Style = accesslog.Failed
			if p.ErrorLogFormat != nil {
				e.Style, e.Format = accesslog.Custom, p.ErrorLogFormat
			}
			lines <- whoAndWhen.ReplaceAllString(string(e.Append(nil, time.UTC)), "CLIENT")
		}
	})
	return w, lines
}

// Connections that come to nothing are logged in HAProxy's words.
func TestFaults(t *testing.T) {
	for _, row := range faultRows {
		t.Run(row.want, func(t *testing.T) {
			w, lines := faults(t, row)
			row.send(t, w.addr)
			if got := nextLine(t, lines); got != row.want {
				t.Errorf("sent %q\ngot     %s\nHAProxy %s", row.sent, got, row.want)
			}
		})
	}
}

// HAProxy writes what the rows say. It has one thread: of several that wake up for one client each counts a connection, until
// it finds that another has taken it.
func TestFaultsAsHAProxy(t *testing.T) {
	if testing.Short() {
		t.Skip("starts HAProxy for each of its rows")
	}
	file := pki.New(t).File(t.TempDir(), "site.pem", pki.Request{CN: "site.test"})
	for _, row := range faultRows {
		bind := " accept-proxy"
		if row.tls {
			bind = " ssl crt " + file
		}
		text := "global\n nbthread 1\n" + ruleConfig(row.rows(), "fd@3"+bind, "127.0.0.1:1", "")
		line := lineOfHAProxy(t, text, func(addr string) { row.send(t, addr) })
		if got := whoAndWhen.ReplaceAllString(line, "CLIENT"); got != row.want {
			t.Errorf("sent %q\nHAProxy %s\nwant    %s", row.sent, got, row.want)
		}
	}
}

// Who waits for too long is told apart, and `option dontlognull` is silent about all who have said nothing: the only line
// is that of the client who has.
func TestFaultsOfTheSilent(t *testing.T) {
	for _, tls := range []bool{false, true} {
		for _, null := range []bool{false, true} {
			said := faultRow{tls: tls, sent: "GET / HTTP/1.0\r\n\r\n", more: []string{"timeout client 100ms"}}
			if null {
				said.more = append(said.more, "option dontlognull")
			}
			w, lines := faults(t, said)
			c, err := net.Dial("tcp", w.addr)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(patience))
			_, _ = c.Read(make([]byte, 1)) // until it is closed for the time that has passed
			c.Close()
			want := map[bool]string{false: "CLIENT fe/1: Timeout while waiting for PROXY protocol header", true: "CLIENT fe/1: Timeout during SSL handshake"}[tls]
			if null {
				eventually(t, "who speaks in time is heard", func() bool {
					said.send(t, w.addr)
					eventually(t, "the connections have ended", func() bool { return w.pool.Process.Conns.Load() == 0 })
					return len(lines) > 0
				})
				want = map[bool]string{false: "CLIENT fe/1: Received something which does not look like a PROXY protocol header", true: "CLIENT fe/1: SSL handshake failure"}[tls]
			}
			if got := nextLine(t, lines); got != want {
				t.Errorf("TLS %v, dontlognull %v: %s, want %s", tls, null, got, want)
			}
			eventually(t, "the connections have ended", func() bool { return w.pool.Process.Conns.Load() == 0 })
			if len(lines) > 0 {
				t.Errorf("TLS %v, dontlognull %v: also %s", tls, null, nextLine(t, lines))
			}
		}
	}
}
