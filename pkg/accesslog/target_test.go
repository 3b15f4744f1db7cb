package accesslog

import (
	"strings"
	"testing"
	"time"
)

// The lines as HAProxy 2.6.12 was seen to write them, for `log … local0` in each format.
func TestFormats(t *testing.T) {
	at := time.Date(2026, 11, 3, 17, 46, 53, 847_158_000, time.UTC)
	east := time.FixedZone("", 2*3600)
	for _, c := range []struct {
		target Target
		opts   Options
		want   string
	}{
		{Target{}, Options{}, "<30>Nov  3 17:46:53 haproxy[7]: text\n"},
		{Target{Facility: "local0"}, Options{}, "<134>Nov  3 17:46:53 haproxy[7]: text\n"},
		{Target{Facility: "local0"}, Options{Hostname: "h"}, "<134>Nov  3 17:46:53 h haproxy[7]: text\n"},
		{Target{Facility: "local0", Format: "local"}, Options{Hostname: "h"}, "<134>Nov  3 17:46:53 haproxy[7]: text\n"},
		{Target{Facility: "local0", Format: "rfc3164"}, Options{}, "<134>Nov  3 17:46:53 localhost haproxy[7]: text\n"},
		{Target{Facility: "local7", Format: "rfc3164"}, Options{Hostname: "h", Tag: "edge"}, "<190>Nov  3 17:46:53 h edge[7]: text\n"},
		{Target{Facility: "local0", Format: "rfc5424"}, Options{}, "<134>1 2026-11-03T17:46:53.847158+00:00 - haproxy 7 - - text\n"},
		{Target{Facility: "local0", Format: "rfc5424"}, Options{Hostname: "h", Location: east}, "<134>1 2026-11-03T19:46:53.847158+02:00 h haproxy 7 - - text\n"},
		{Target{Facility: "local0", Format: "short"}, Options{}, "<6>text\n"},
		{Target{Facility: "local0", Format: "raw"}, Options{}, "text\n"},
		{Target{Facility: "local0", Format: "timed"}, Options{}, "<6>2026-11-03T17:46:53.847158+00:00 text\n"},
		{Target{Facility: "local0", Format: "iso"}, Options{}, "2026-11-03T17:46:53.847158+00:00 text\n"},
		{Target{Facility: "local0", MinLevel: "debug"}, Options{}, "<135>Nov  3 17:46:53 haproxy[7]: text\n"},
		{Target{Facility: "local0", MinLevel: "err"}, Options{}, "<134>Nov  3 17:46:53 haproxy[7]: text\n"},
	} {
		c.target.Address = "stdout"
		if c.opts.Location == nil {
			c.opts.Location = time.UTC
		}
		if c.opts.Tag == "" {
			c.opts.Tag = "haproxy"
		}
		c.opts.PID = 7
		p, err := newTarget(c.target, &c.opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(p.appendLine(nil, Info, at, nil, []byte("text"))); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.target, got, c.want)
		}
		if err := p.sink.close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLength(t *testing.T) {
	o := Options{Tag: "haproxy", PID: 7, Location: time.UTC}
	p, err := newTarget(Target{Address: "stderr", Length: 80}, &o)
	if err != nil {
		t.Fatal(err)
	}
	defer p.sink.close()
	line := p.appendLine([]byte("before"), Info, time.Now(), nil, []byte(strings.Repeat("a", 200)))
	if len(line) != len("before")+80+1 || line[len(line)-1] != '\n' {
		t.Errorf("a line of %d bytes; want 80 and the line end", len(line)-len("before"))
	}
}

func TestBadTargets(t *testing.T) {
	for _, c := range []struct {
		target Target
		want   string
	}{
		{Target{Address: "stdout", Format: "xml"}, "unknown format 'xml'"},
		{Target{Address: "stdout", Length: 79}, "length 79 is not within 80-65535"},
		{Target{Address: "stdout", Length: 65536}, "length 65536 is not within"},
		{Target{Address: "stdout", Facility: "local8"}, "unknown facility 'local8'"},
		{Target{Address: "stdout", Level: "loud"}, "unknown level 'loud'"},
		{Target{Address: "stdout", MinLevel: "loud"}, "unknown level 'loud'"},
		{Target{Address: "fd@x"}, "'fd@x' is not a file descriptor"},
		{Target{Address: "fd@-1"}, "is not a file descriptor"},
		{Target{Address: "fd@99999"}, "duplicate fd 99999"},
		{Target{Address: "127.0.0.1:port"}, "resolve"},
	} {
		l, err := New([]Target{{Address: "stdout"}, c.target}, Options{})
		if err == nil {
			_ = l.Close()
			t.Errorf("%+v was taken", c.target)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "log target '"+c.target.Address+"'") {
			t.Errorf("%+v: %v; want %q", c.target, err, c.want)
		}
	}
}

func TestNames(t *testing.T) {
	for i, name := range []string{"emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"} {
		if l, ok := ParseLevel(name); !ok || int(l) != i {
			t.Errorf("level %s is %d, %v", name, l, ok)
		}
	}
	for name, n := range map[string]int{"kern": 0, "daemon": 3, "cron2": 15, "local0": 16, "local7": 23} {
		if f, ok := parseFacility(name); !ok || f != n {
			t.Errorf("facility %s is %d, %v", name, f, ok)
		}
	}
}
