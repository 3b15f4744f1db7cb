package accesslog

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/require"
	"waggle/pkg/sample"
)

// What option httplog and option tcplog write, as formats (HAProxy's manual, chapters 8.2.2 and 8.2.3).
const (
	httpFormat = "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r"
	tcpFormat  = "%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq"
)

func format(t testing.TB, source string) *sample.Format {
	t.Helper()
	f, err := sample.ParseFormat(source, sample.LogFormat, true, sample.Env{Where: sample.AtLog})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A format with the variables of an option gives the option's line.
func TestOptionsAsFormats(t *testing.T) {
	variants := []func(*Entry){
		func(*Entry) {},
		func(e *Entry) { e.NoTimers(); e.Status, e.Request, e.Server, e.CookieIn = 0, nil, "", nil },
		func(e *Entry) { e.RequestHeaders, e.ResponseHeaders = nil, nil },
		func(e *Entry) { e.RequestHeaders, e.ResponseHeaders = nil, [][]byte{} },
		func(e *Entry) { e.TLS, e.ASAP, e.Redispatched, e.Retries = true, true, true, 3 },
		func(e *Entry) {
			e.TR, e.Tw, e.Tc, e.Tr, e.Ta, e.Tt = 1, 2, 3, 4, 10, 12
			e.CookieOut = []byte("A=b c\x01")
		},
		func(e *Entry) {
			e.State = [4]byte{'c', 'D', 0, 'N'}
			e.SrvQueue, e.BeQueue, e.BeConn, e.SrvConn = 1, 2, 3, 4
		},
		func(e *Entry) {
			e.Client = netip.MustParseAddrPort("[2001:db8::1]:80")
			e.Request = []byte("GET /\"# HTTP/1.1")
		},
		func(e *Entry) { e.Client = netip.MustParseAddrPort("[::ffff:10.0.0.1]:80") },
	}
	for style, f := range map[Style]*sample.Format{HTTP: format(t, httpFormat), TCP: format(t, tcpFormat)} {
		for i, vary := range variants {
			e := served()
			vary(&e)
			e.Style = style
			want := string(e.Append(nil, time.UTC))
			e.Style, e.Format = Custom, f
			if got := string(e.Append(nil, time.UTC)); got != want {
				t.Errorf("style %d, variant %d\nformat %s\noption %s", style, i, got, want)
			}
		}
	}
}

func TestFormatsOfEntries(t *testing.T) {
	e := served()
	e.Style = Custom
	e.Accept = accepted.Add(-1500 * time.Millisecond)
	e.TR, e.Tw, e.Tc, e.Tr, e.Ta, e.Tt, e.Ti = 1, 2, 3, 4, 20, 1520, 1500
	e.Source, e.Target = netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("10.0.0.2:80")
	e.Uploaded, e.Counter, e.UniqueID = 512, 300, []byte("u-1")
	e.Request = []byte("POST http://h/p/a?b=c HTTP/1.0")
	for source, want := range map[string]string{
		"%Th %Ti %TR %Tq %Tw %Tc %Tr %Td %Ta %Tt %Tu": "0 1500 1 1501 2 3 4 10 20 1520 20",
		"%t %tr":                                      "23/Nov/2026:17:45:47.445 23/Nov/2026:17:45:48.945",
		"%T %Tl %trg %trl %Ts %ms":                    "23/Nov/2026:17:45:47 +0000 23/Nov/2026:17:45:47 +0000 23/Nov/2026:17:45:48 +0000 23/Nov/2026:17:45:48 +0000 1795455947 445",
		"%{+X}Ts %{+X}rt %{+X}cp":                     "6B047BCB 012C BE24",
		"%bi:%bp %si:%sp %fi:%fp":                     "10.0.0.1:4000 10.0.0.2:80 127.0.0.1:19083",
		"%U %rt %ID %{+Q}ID":                          `512 300 u-1 "u-1"`,
		"%HM|%HU|%HP|%HPO|%HQ|%HV":                    "POST|http://h/p/a?b=c|http://h/p/a|/p/a|?b=c|HTTP/1.0",
		"%{+Q,+E}hr":                                  `"{x#22#7B#7C#7Dy|}"`,
		"%[src] %[dst_port]":                          "127.0.0.1 19083",
		"%[fe_name]/%[be_name]/%[srv_name] %[status]": "fh/b/s 200",
		"%[capture.req.hdr(0)]|%[capture.res.hdr(0)]|%[capture.req.hdr(9)]": "x\"{|}y|my\"srv{|}\x80|-",
		"%[req.hdr(host)] %[unique-id] %[var(txn.a)]":                       "- u-1 -",
	} {
		e.Format = format(t, source)
		if got := string(e.Append(nil, time.UTC)); got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

// A rule may give a line of a format another level.
func TestCustomLines(t *testing.T) {
	target, out := pipeTarget(t, "short")
	o := utc()
	o.Tag = "edge"
	l := newLogger(t, o, target)
	e := served()
	e.Style, e.Format = Custom, format(t, "%{+X}pid %H %ci")
	l.Log(&e)
	e.Level, e.HasLevel = Warning, true
	l.Log(&e)
	lines := readLines(t, out.r, 2)
	if !strings.HasPrefix(lines[0], "<6>0007 ") || !strings.HasPrefix(lines[1], "<4>0007 ") || !strings.HasSuffix(lines[0], " 127.0.0.1") {
		t.Errorf("%q", lines)
	}
}

func TestCustomLinesAllocateNothing(t *testing.T) {
	require.NoRace(t, "it counts allocations")
	e := served()
	e.Style, e.Format = Custom, format(t, httpFormat+" %[src] %[capture.req.hdr(0)]")
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(500, func() { buf = e.Append(buf[:0], time.UTC) }); n != 0 {
		t.Errorf("%v allocations a line", n)
	}
}
