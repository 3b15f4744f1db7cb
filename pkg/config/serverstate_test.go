package config

import "testing"

func TestServerStateFile(t *testing.T) {
	const global = "global\n server-state-base /var/lib/states\n server-state-file all\n"
	for _, tc := range []struct{ text, want string }{
		{global + "backend b", ""},
		{global + "backend b\n load-server-state-from-file none", ""},
		{global + "backend b\n load-server-state-from-file global", "/var/lib/states/all"},
		{global + "backend b\n load-server-state-from-file local", "/var/lib/states/b"},
		{global + "backend b\n load-server-state-from-file local\n server-state-file-name x", "/var/lib/states/x"},
		{global + "backend b\n load-server-state-from-file local\n server-state-file-name x\n server-state-file-name use-backend-name", "/var/lib/states/b"},
		{global + "backend b\n load-server-state-from-file local\n server-state-file-name /y/x", "/y/x"},
		{global + "defaults\n load-server-state-from-file local\n server-state-file-name use-backend-name\nbackend b", "/var/lib/states/b"},
		{global + "defaults\n load-server-state-from-file global\nbackend b\n load-server-state-from-file none", ""},
		{global + "backend b\n disabled\n load-server-state-from-file global", ""},
		{"global\n server-state-file all\nbackend b\n load-server-state-from-file global", "all"},
		{"backend b\n load-server-state-from-file global", ""},
		{"backend b\n load-server-state-from-file local", "b"},
	} {
		cfg, _ := mustParse(t, tc.text+"\n")
		if got := cfg.ServerStateFile(cfg.Proxies[0]); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.text, got, tc.want)
		}
	}
}
