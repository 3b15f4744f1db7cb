package proxy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"waggle/pkg/pool"
)

const unixConfig = `
defaults
    mode http
    timeout connect 1m
    timeout client 1m
    timeout server 1m
frontend fe
    bind 127.0.0.1:1
    bind unix@%s mode 640
    default_backend b
backend b
    server s %s
`

// A frontend on a unix socket that an operator switches off refuses connections, and takes them again when it is switched on; its
// file has the permissions that the line says.
func TestUnixSocketIsSwitched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fe.sock")
	w := startConfig(t, fmt.Sprintf(unixConfig, path, named(t, "a")))
	get := func() error {
		c := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}}}
		resp, err := c.Get("http://a/")
		if err == nil {
			resp.Body.Close()
		}
		return err
	}
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Fatalf("%v, %v", info, err)
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	fe := w.pool.Frontends[0]
	for range 2 {
		fe.SetSwitch(pool.SwitchedOff)
		if err := w.engine.FollowSwitch(t.Context(), fe); err != nil {
			t.Fatal(err)
		}
		if err := get(); err == nil {
			t.Fatal("it answers although it is switched off")
		}
		fe.SetSwitch(pool.SwitchedOn)
		if err := w.engine.FollowSwitch(t.Context(), fe); err != nil {
			t.Fatal(err)
		}
		for range 8 { // by all loops
			if err := get(); err != nil {
				t.Fatalf("switched on again: %v", err)
			}
		}
	}
}
