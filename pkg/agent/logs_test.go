package agent

import (
	"testing"

	"waggle/pkg/accesslog"
	"waggle/pkg/config"
	"waggle/pkg/sample"
)

// A proxy's own tag wins over the global one, and a name is sent only where the configuration asks for it.
func TestLogOptions(t *testing.T) {
	name, system := "edge-1", ""
	for _, row := range []struct {
		proxy, global string
		host          *string
		want          accesslog.Options
	}{
		{"", "", nil, accesslog.Options{}},
		{"", "all", nil, accesslog.Options{Tag: "all"}},
		{"mine", "all", &name, accesslog.Options{Tag: "mine", Hostname: "edge-1"}},
	} {
		got := logOptions(&config.Proxy{LogTag: row.proxy}, &config.Global{LogTag: row.global, LogSendHostname: row.host})
		if got.Tag != row.want.Tag || got.Hostname != row.want.Hostname {
			t.Errorf("%+v, want %+v", got, row.want)
		}
	}
	if got := logOptions(&config.Proxy{}, &config.Global{LogSendHostname: &system}); got.Hostname == "" {
		t.Error("the system's name is not sent")
	}
}

// log-format wins over the options.
func TestLogFormatWins(t *testing.T) {
	f, err := sample.ParseFormat("%ci", sample.LogFormat, true, sample.Env{Where: sample.AtLog})
	if err != nil {
		t.Fatal(err)
	}
	p := &config.Proxy{Name: "f", HTTP: true, LogFormat: f, Logs: []config.LogTarget{{Address: "/nonexistent/socket"}}}
	p.Options.HTTPLog = true
	l, err := openLogs(&config.Config{Proxies: []*config.Proxy{p}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	var e accesslog.Entry
	l.access(p, &e)
	if e.Style != accesslog.Custom || e.Format != f {
		t.Errorf("style %d, format %v", e.Style, e.Format)
	}
}

// error-log-format is for what came to nothing, log-format for all else; without it such a connection has HAProxy's line.
func TestErrorLogFormat(t *testing.T) {
	format := func(s string) *sample.Format {
		f, err := sample.ParseFormat(s, sample.LogFormat, true, sample.Env{Where: sample.AtLog})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	normal, failed, data := format("%ci"), format("%[fc_err]"), format("[a@1]")
	fault, bad, good := accesslog.Entry{HTTPMode: true, Fault: sample.TLSFailed}, accesslog.Entry{HTTPMode: true, Status: 400}, accesslog.Entry{HTTPMode: true, Request: []byte("GET /")}
	for _, row := range []struct {
		entry              accesslog.Entry
		normal, failed     *sample.Format
		style              accesslog.Style
		format             *sample.Format
		structured, severe bool
	}{
		{fault, normal, failed, accesslog.Custom, failed, true, true},
		{fault, normal, nil, accesslog.Failed, nil, false, true},
		{bad, normal, failed, accesslog.Custom, failed, true, false},
		{bad, normal, nil, accesslog.Custom, normal, true, false},
		{good, normal, failed, accesslog.Custom, normal, true, false},
		{good, nil, failed, accesslog.HTTP, nil, true, false},
	} {
		p := &config.Proxy{Name: "f", HTTP: true, LogFormat: row.normal, ErrorLogFormat: row.failed, LogFormatSD: data, Logs: []config.LogTarget{{Address: "/nonexistent/socket"}}}
		p.Options.HTTPLog, p.Options.LogSeparateErrors, p.Options.DontLogNull = true, true, true
		l, err := openLogs(&config.Config{Proxies: []*config.Proxy{p}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		e := row.entry
		e.State[0] = '-'
		if e.Fault != sample.ConnOK {
			e.State[0] = 'P'
		}
		l.access(p, &e)
		if e.Style != row.style || e.Format != row.format || (e.Data != nil) != row.structured || e.Err != row.severe {
			t.Errorf("%+v: style %d, format %v, data %v, severe %v", row, e.Style, e.Format, e.Data, e.Err)
		}
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}
}
