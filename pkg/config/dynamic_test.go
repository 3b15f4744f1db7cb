package config

import (
	"testing"

	"waggle/pkg/lab/message"
)

func TestParseDynamicServer(t *testing.T) {
	for _, tt := range []struct {
		name  string
		words []string
		err   string // "" for none
	}{
		{"new1", []string{"127.0.0.1:1"}, ""},
		{"new2", []string{"127.0.0.1:2", "weight", "10", "check", "maxconn", "3", "id", "77"}, ""},
		{"host", []string{"task:80"}, ""},
		{"none", nil, "'server' expects <name> and <addr>[:<port>] as arguments"},
		{"foo", []string{"127.0.0.1:3", "wieght"}, "'server foo' : unknown keyword 'wieght'; did you mean 'weight' maybe ?"},
		{"heavy", []string{"127.0.0.1:3", "weight", "999"}, "'server heavy' : 'weight' expects an integer between 0 and 256, not '999'"},
		{"dns", []string{"task:8", "resolvers", "docker"}, "'resolvers' option is not accepted for dynamic server"},
		{"stick", []string{"127.0.0.1:8", "cookie", "x"}, "'cookie' option is not accepted for dynamic server"},
		{"file", []string{"127.0.0.1:8", "sni", "str(x),map_str_int(dynamic_test.go)"}, "'server file' : 'sni' : failed to open map file 'dynamic_test.go': no files are read at run time"},
		{"port", []string{"127.0.0.1:99999"}, "'server port' : invalid port '99999'"},
		{"bad/name", []string{"127.0.0.1:9"}, "character '/' is not permitted in server name 'bad/name'"},
	} {
		srv, _, err := ParseDynamicServer(tt.name, tt.words)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != tt.err {
			t.Errorf("%s %q: %q, want %q", tt.name, tt.words, got, tt.err)
		}
		message.Shown(t, tt.err)
		if err == nil && (srv.Name != tt.name || srv.Check.Rise != 2 || srv.Check.Fall != 3) {
			t.Errorf("%s: %+v", tt.name, srv)
		}
	}
	srv, _, err := ParseDynamicServer("all", []string{"127.0.0.1:2", "weight", "10", "check", "maxconn", "3", "id", "77", "inter", "1s", "backup"})
	if err != nil || srv.Weight != 10 || !srv.Check.Enabled || srv.MaxConn != 3 || srv.ID != 77 || srv.Check.Inter.Seconds() != 1 || !srv.Backup || srv.Addr.Port() != 2 {
		t.Errorf("%+v, %v", srv, err)
	}
}
