// Package stack tests the stack files with the loader of docker stack deploy. It is a module of its own, so that
// the balancer does not depend on Docker's client.
package stack

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/docker/cli/cli/compose/loader"
	composetypes "github.com/docker/cli/cli/compose/types"
	"github.com/docker/cli/opts"
)

const root = "../.."

// load does with a file what docker stack deploy does, and fails the test on keys that would be ignored.
func load(t *testing.T, file string, env map[string]string) *composetypes.Config {
	t.Helper()
	path := filepath.Join(root, file)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := loader.ParseYAML(content)
	if err != nil {
		t.Fatalf("parse %s: %v", file, err)
	}
	details := composetypes.ConfigDetails{
		Version:     parsed["version"].(string),
		WorkingDir:  filepath.Dir(path),
		ConfigFiles: []composetypes.ConfigFile{{Filename: path, Config: parsed}},
		Environment: env,
	}
	config, err := loader.Load(details)
	if err != nil {
		t.Fatalf("load %s: %v", file, err)
	}
	dicts := []map[string]any{parsed}
	if ignored := loader.GetUnsupportedProperties(dicts...); len(ignored) > 0 {
		t.Errorf("%s: docker stack deploy ignores %v", file, ignored)
	}
	if deprecated := loader.GetDeprecatedProperties(dicts...); len(deprecated) > 0 {
		t.Errorf("%s: deprecated: %v", file, deprecated)
	}
	return config
}

func service(t *testing.T, config *composetypes.Config, name string) composetypes.ServiceConfig {
	t.Helper()
	i := slices.IndexFunc(config.Services, func(s composetypes.ServiceConfig) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("no service %s", name)
	}
	return config.Services[i]
}

func TestSeedStackLoads(t *testing.T) {
	config := load(t, "deploy/stack-seed.yml", nil)
	if image := service(t, config, "haproxy").Image; image != "waggle" {
		t.Errorf("image of the balancer is %q, want waggle", image)
	}
}

func TestStackLoads(t *testing.T) {
	config := load(t, "docker-stack.yml", nil)
	if config.Version != "3.8" {
		t.Errorf("version %q, want 3.8: the newest that Docker 20.10 knows", config.Version)
	}
	ports := make(map[uint32]uint32)
	for _, p := range service(t, config, "waggle").Ports {
		if p.Mode != "host" {
			t.Errorf("port %d is in mode %q, want host", p.Published, p.Mode)
		}
		ports[p.Published] = p.Target
	}
	for published, target := range map[uint32]uint32{48686: 8000, 48687: 8001, 8404: 8404} {
		if ports[published] != target {
			t.Errorf("port %d is %d of the container, want %d", published, ports[published], target)
		}
	}
}

func TestCapabilities(t *testing.T) {
	for _, test := range []struct {
		engine string
		env    map[string]string
		want   []string
	}{
		{"23.0 and later", nil, []string{"CAP_BPF", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_PERFMON"}},
		{
			"20.10, as deploy/stack.sh sets it",
			map[string]string{"WAGGLE_CAP_BPF": "SYS_ADMIN", "WAGGLE_CAP_PERFMON": "CAP_SYS_ADMIN"},
			[]string{"CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN"},
		},
	} {
		t.Run(test.engine, func(t *testing.T) {
			config := load(t, "docker-stack.yml", test.env)
			s := service(t, config, "waggle")
			add, _ := opts.EffectiveCapAddCapDrop(s.CapAdd, s.CapDrop)
			if !slices.Equal(add, test.want) {
				t.Errorf("added capabilities %v, want %v", add, test.want)
			}
			if !slices.Equal(s.CapDrop, []string{"ALL"}) {
				t.Errorf("cap_drop %v, want [ALL]", s.CapDrop)
			}
		})
	}
}

// TestMonitoringStackLoads: Prometheus is on the network of waggle, and Grafana gets the dashboard.
func TestMonitoringStackLoads(t *testing.T) {
	config := load(t, "deploy/stack-monitoring.yml", nil)
	networks := service(t, config, "prometheus").Networks
	if _, ok := networks["edge"]; !ok {
		t.Errorf("prometheus is on %v, want edge too", networks)
	}
	if name := config.Networks["edge"].Name; name != "waggle_edge" {
		t.Errorf("the network of waggle's stack is taken to be %q, want waggle_edge", name)
	}
	for name, c := range config.Configs {
		if _, err := os.Stat(c.File); err != nil {
			t.Errorf("config %s: %v", name, err)
		}
	}
	if _, ok := config.Configs["grafana_dashboard"]; !ok {
		t.Error("there is no config grafana_dashboard")
	}
}

// TestTLSStackLoads: the certificate that the configuration names is a secret, and what it listens on is published.
func TestTLSStackLoads(t *testing.T) {
	config := load(t, "deploy/stack-tls.yml", map[string]string{"WAGGLE_SITE_PEM": "site-2027.pem"})
	s := service(t, config, "waggle")
	text, err := os.ReadFile(config.Configs["tls_cfg"].File)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]bool{}
	for _, m := range s.Secrets {
		secrets["/run/secrets/"+m.Target] = true
		if secret := config.Secrets[m.Source]; !secret.External.External || secret.Name != "site-2027.pem" {
			t.Errorf("secret %s is %+v, want the one that is named outside", m.Source, secret)
		}
		if m.Mode == nil || *m.Mode != 0o400 {
			t.Errorf("secret %s can be read by others than its owner", m.Source)
		}
	}
	named := regexp.MustCompile(`/run/secrets/\S+`).FindAllString(string(text), -1)
	if len(named) == 0 {
		t.Error("the configuration names no secret")
	}
	for _, name := range named {
		if !secrets[name] {
			t.Errorf("%s is in the configuration and no secret of the service", name)
		}
	}
	for _, p := range s.Ports {
		if !strings.Contains(string(text), fmt.Sprintf("bind *:%d", p.Target)) {
			t.Errorf("port %d is published and not listened on", p.Target)
		}
	}
}

// TestHostStackLoads: it is on the host's network, and what outlives the container is the host's.
func TestHostStackLoads(t *testing.T) {
	config := load(t, "deploy/stack-host.yml", nil)
	s := service(t, config, "waggle")
	if _, ok := s.Networks["host"]; !ok || config.Networks["host"].Name != "host" || !config.Networks["host"].External.External {
		t.Errorf("networks %v, %+v; want the host's", s.Networks, config.Networks["host"])
	}
	if len(s.Ports) != 0 {
		t.Errorf("ports %v: on the host's network there is nothing to publish", s.Ports)
	}
	pins := slices.IndexFunc(s.Volumes, func(v composetypes.ServiceVolumeConfig) bool { return v.Target == "/pins" })
	if pins < 0 || s.Volumes[pins].Type != "bind" || s.Volumes[pins].ReadOnly || s.Volumes[pins].Source != "/sys/fs/bpf/waggle" {
		t.Errorf("volumes %+v: want /sys/fs/bpf/waggle of the host and nothing beside it, to be written to", s.Volumes)
	}
	for _, flag := range []string{"--pin-dir=/pins", "--keep-datapath"} {
		if !slices.Contains(s.Command, flag) {
			t.Errorf("command %v: without %s", s.Command, flag)
		}
	}
	add, _ := opts.EffectiveCapAddCapDrop(s.CapAdd, s.CapDrop)
	if want := []string{"CAP_BPF", "CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_PERFMON"}; !slices.Equal(add, want) {
		t.Errorf("added capabilities %v, want %v", add, want)
	}
}
