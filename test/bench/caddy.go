package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"waggle/pkg/lab"
)

// caddyModule is built when it is measured and is no dependency of ours.
const caddyModule = "github.com/caddyserver/caddy/v2/cmd/caddy@v2.10.2"

const caddyName = "caddy"

// buildCaddy builds Caddy from the Go module proxy into dir.
func buildCaddy(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "install", "-trimpath", caddyModule)
	cmd.Dir = dir // outside of our module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOBIN="+dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return "", fmt.Errorf("build %s: %w: %s", caddyModule, err, lines[len(lines)-1])
	}
	return filepath.Join(dir, "caddy"), nil
}

// withCaddy builds Caddy if it takes part. Where that fails, as without a network, the suite goes on without it,
// and the report says why.
func withCaddy(ctx context.Context, s suite, dir string) (left suite, program string, failed error) {
	i := slices.IndexFunc(s.contenders, func(c contender) bool { return c.Name == caddyName })
	if i < 0 {
		return s, "", nil
	}
	if program, failed = buildCaddy(ctx, dir); failed != nil {
		s.contenders = slices.Delete(slices.Clone(s.contenders), i, i+1)
	}
	return s, program, failed
}

// caddyHTTP has Caddy balance by turns over kept connections, without its admin endpoint, its log or TLS.
func caddyHTTP(ctx context.Context, st *stage) error {
	return st.run(ctx, lab.Command{
		Argv:  []string{st.setting.caddy, "run", "--adapter", "caddyfile", "--config", lab.FilesDir + "/Caddyfile"},
		Env:   []string{"HOME=/run", "XDG_DATA_HOME=/run", "XDG_CONFIG_HOME=/run"},
		Files: map[string][]byte{"Caddyfile": []byte(caddyConfig(st))},
	})
}

func caddyConfig(st *stage) string {
	var servers []string
	for _, task := range st.tasks {
		servers = append(servers, task.Endpoint().String())
	}
	return fmt.Sprintf(`{
	admin off
	auto_https off
	persist_config off
	log {
		level ERROR
	}
}
http://:%d {
	reverse_proxy %s {
		lb_policy round_robin
		transport http {
			keepalive_idle_conns_per_host 512
		}
	}
}
`, port, strings.Join(servers, " "))
}
