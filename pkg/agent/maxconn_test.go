package agent

import (
	"testing"

	"waggle/pkg/config"
)

// The automatic maxconn leaves descriptors enough for what the configuration speaks.
func TestAutomaticMaxConn(t *testing.T) {
	const tls = " ssl crt /none.pem"
	for _, tc := range []struct {
		bind, server string
		each         int
	}{
		{"", "", 2},
		{tls, "", 4},
		{" proto h2", "", 4},
		{"", " ssl verify none", 4},
		{tls, " ssl verify none", 6},
	} {
		text := "listen l\n mode http\n bind :1" + tc.bind + "\n server s 192.0.2.1:1" + tc.server + "\n"
		cfg, _, err := config.Parse("t", []byte(text), config.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := maxConn(cfg), (openFiles()-200)/tc.each; got != want {
			t.Errorf("%q %q: %d, want %d: %d descriptors for each", tc.bind, tc.server, got, want, tc.each)
		}
		cfg.Global.MaxConn = 7
		if got := maxConn(cfg); got != 7 {
			t.Errorf("configured 7, got %d", got)
		}
	}
}
