package swarm

import (
	"path/filepath"
	"strings"
	"testing"

	"waggle/test/swarm/engine"
)

// imageTakesOfficialCommands runs the image as people run the official one of HAProxy.
func imageTakesOfficialCommands(t *testing.T, e *engine.Engine) {
	config, err := filepath.Abs(filepath.Join(root, "deploy/haproxy.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	const inside = "/usr/local/etc/haproxy/haproxy.cfg"
	run := []string{"run", "--rm", "--network", "none", "-v", config + ":" + inside + ":ro", "waggle"}
	for _, command := range [][]string{
		{"haproxy", "-c", "-V", "-f", inside},
		{"haproxy", "-W", "-db", "-c", "-V", "-f", inside},
		{"-c", "-V", "-f", inside},
		{"check", "-V", "-f", inside},
	} {
		if said := docker(t, e, append(run, command...)...); said != "Configuration file is valid" {
			t.Errorf("%v says %q", command, said)
		}
	}
	if out, err := e.Docker(t.Context(), append(run, "haproxy", "-c", "-f", "/missing.cfg")...); err == nil {
		t.Errorf("a missing file is valid: %s", out)
	}
}

// imageTellsEngines reads what the image says about itself.
func imageTellsEngines(t *testing.T, e *engine.Engine) {
	for format, want := range map[string]string{
		`{{.Config.StopSignal}}`:                                              "SIGUSR1",
		`{{json .Config.Healthcheck.Test}}`:                                   `["CMD","/usr/local/sbin/waggle","healthcheck"]`,
		`{{json .Config.Entrypoint}}`:                                         `["/usr/local/sbin/waggle"]`,
		`{{json .Config.Cmd}}`:                                                `["-f","/usr/local/etc/haproxy/haproxy.cfg"]`,
		`{{index .Config.Labels "org.opencontainers.image.title"}}`:           "waggle",
		`{{index .Config.Labels "org.opencontainers.image.licenses"}}`:        "Apache-2.0",
		`{{eq (index .Config.Labels "org.opencontainers.image.version") ""}}`: "false",
	} {
		if got := docker(t, e, "image", "inspect", "waggle", "--format", format); got != want {
			t.Errorf("%s is %q, want %q", format, got, want)
		}
	}
	holds := docker(t, e, "create", "waggle")
	defer docker(t, e, "rm", holds)
	for _, name := range []string{"THIRD_PARTY_LICENSES", "sbom.cdx.json"} {
		if text := docker(t, e, "cp", holds+":/usr/share/doc/waggle/"+name, "-"); !strings.Contains(text, "github.com/cilium/ebpf") {
			t.Errorf("%s in the image does not name what is in it", name)
		}
	}
	if said := docker(t, e, "run", "--rm", "--network", "none", "--read-only", "--cap-drop", "ALL", "waggle", "-v"); !strings.HasPrefix(said, "waggle version ") {
		t.Errorf("without a writable file system and capabilities it says %q", said)
	}
}
