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
