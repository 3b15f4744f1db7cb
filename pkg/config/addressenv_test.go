package config

import (
	"fmt"
	"testing"

	"waggle/pkg/lab/haproxy"
)

// In addresses HAProxy expands variables outside of quotes, too: `bind ${IP}:80` is what files for containers have.
const addressesFromEnvironment = `
global
    stats socket ${DIR}/haproxy.sock
    log ${IP}:514 local0
    log $DIR/log local0
ring lines
    server s ${IP}:6514
defaults
    mode http
    timeout connect 1s
    timeout client 1s
    timeout server 1s
resolvers r
    nameserver d $IP:53
frontend f
    bind ${IP}:18080,$IP:18081
    bind "${IP}:18082"
    default_backend b
backend b
    source ${IP}
    server a ${HOST}:8${ZERO}
    server b $IP:${PORT} check addr ${IP} source $IP:1000-2000
    server c '${IP}':80 check
`

func TestVariablesInAddresses(t *testing.T) {
	values := map[string]string{"IP": "127.0.0.1", "HOST": "localhost", "PORT": "8080", "ZERO": "0", "DIR": t.TempDir()}
	cfg, remarks, err := Parse("t", []byte(addressesFromEnvironment), LoadOptions{Getenv: func(name string) (string, bool) { v, ok := values[name]; return v, ok }})
	if err != nil {
		t.Fatalf("%v %v", err, remarks)
	}
	f, b := cfg.Proxies[0], cfg.Proxies[1]
	got := fmt.Sprintln(f.Binds[0].Addr, f.Binds[1].Addr, f.Binds[2].Addr, b.Source.Addr, b.Servers[0].Host, b.Servers[0].Addr.Port(),
		b.Servers[1].Addr, b.Servers[1].Source.Addr, b.Servers[2].Addr, cfg.Resolvers[0].Nameservers[0].Addr,
		cfg.Global.StatsSockets[0].Path == values["DIR"]+"/haproxy.sock", cfg.Global.Logs[0].Address, cfg.Global.Logs[1].Address == values["DIR"]+"/log", cfg.Rings[0].Servers[0].Address)
	const want = "127.0.0.1:18080 127.0.0.1:18081 127.0.0.1:18082 127.0.0.1 localhost 80 127.0.0.1:8080 127.0.0.1 127.0.0.1:80 127.0.0.1:53 true 127.0.0.1:514 true 127.0.0.1:6514\n"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var env []string
	for name, value := range values {
		env = append(env, name+"="+value)
	}
	if said, ok := haproxy.Accepts(t, addressesFromEnvironment, env...); !ok {
		t.Errorf("HAProxy does not take it: %s", said)
	}
}
