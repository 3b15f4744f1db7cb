package swarm

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/require"
	"waggle/test/swarm/engine"
)

// Published ports of docker-stack.yml.
const (
	httpPort  = 48686
	tcpPort   = 48687
	statsPort = 8404
)

// TestStack runs `make stack` and `make stack-down` as a person does, on an engine that is in no swarm.
func TestStack(t *testing.T) {
	require.Tool(t, "bpftool")
	e := startEngine(t)
	said := runMake(t, e, "stack", "WAGGLE_ADVERTISE_ADDR="+e.NodeAddr().String())
	for _, url := range []string{"http://localhost:48686/", "http://localhost:48687/", "http://localhost:8404/stats"} {
		if !strings.Contains(said, url) {
			t.Errorf("make stack does not say %s:\n%s", url, said)
		}
	}
	balancer, _ := awaitRunning(t, e, "waggle_waggle", 1)
	web, _ := awaitRunning(t, e, "waggle_web", 3)

	t.Run("the image's labels are true", func(t *testing.T) { labelsAreTrue(t, e) })
	t.Run("http is shared equally", func(t *testing.T) { awaitShares(t, e, httpPort, hostnames(web)) })
	t.Run("tcp is shared equally", func(t *testing.T) { awaitShares(t, e, tcpPort, hostnames(web)) })
	t.Run("metrics tell the paths", func(t *testing.T) { stackMetrics(t, e) })
	held, err := e.BPF(balancer[0].ContainerID)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("docker's commands of the documents", func(t *testing.T) { dockerCommandsOfDocuments(t, e, balancer[0].ContainerID) })
	t.Run("bpftool shows the servers", func(t *testing.T) { bpftoolShowsServers(t, held, web) })

	if t.Failed() {
		showService(t, e, "waggle_waggle")
	}
	runMake(t, e, "stack-down")
	t.Run("nothing remains", func(t *testing.T) { nothingRemains(t, e, held) })
	t.Run("a swarm made by others stays", func(t *testing.T) {
		docker(t, e, "swarm", "init", "--advertise-addr", e.NodeAddr().String())
		runMake(t, e, "stack-down")
		if state := swarmState(t, e); state != "active" {
			t.Errorf("the node's swarm is %s, want active", state)
		}
	})
}

func swarmState(t *testing.T, e *engine.Engine) string {
	t.Helper()
	return docker(t, e, "info", "--format", "{{.Swarm.LocalNodeState}}")
}

// stackMetrics demands that every connection of the TCP frontend so far went through the kernel, and of the HTTP
// frontend none.
func stackMetrics(t *testing.T, e *engine.Engine) {
	a := ask(t.Context(), e, statsPort, "/metrics")
	if a.status != http.StatusOK || a.err != nil {
		t.Fatalf("answer %v", a)
	}
	for series, want := range map[string]func(float64) bool{
		`waggle_frontend_sessions_total{path="kernel",proxy="tcp_in"}`:             some,
		`waggle_frontend_sessions_total{path="userspace",proxy="tcp_in"}`:          none,
		`waggle_frontend_sessions_total{path="kernel",proxy="haproxyPractice"}`:    none,
		`waggle_frontend_sessions_total{path="userspace",proxy="haproxyPractice"}`: some,
		`haproxy_frontend_sessions_total{proxy="tcp_in"}`:                          some,
	} {
		if value, ok := sample(a.body, series); !ok || !want(value) {
			t.Errorf("%s is %v (there: %v)", series, value, ok)
		}
	}
	if a := ask(t.Context(), e, statsPort, "/stats"); a.status != http.StatusOK || !strings.Contains(a.body, "tcp_in") {
		t.Errorf("statistics page: answer %v", a)
	}
}

func some(value float64) bool { return value > 0 }
func none(value float64) bool { return value == 0 }

// sample finds the value of a series in Prometheus' text format.
func sample(text, series string) (value float64, ok bool) {
	for line := range strings.Lines(text) {
		if rest, found := strings.CutPrefix(line, series+" "); found {
			value, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return value, err == nil
		}
	}
	return 0, false
}

// bpftoolShowsServers looks at the kernel path of a container as an administrator of its node does.
func bpftoolShowsServers(t *testing.T, held engine.BPF, web []engine.Task) {
	if len(held.Programs) == 0 {
		t.Fatal("the balancer has loaded no program: it serves TCP in userspace")
	}
	out, err := exec.CommandContext(t.Context(), "bpftool", "-j", "map", "dump", "name", "wg_servers").CombinedOutput()
	if err != nil {
		t.Fatalf("bpftool: %v\n%s", err, out)
	}
	var dump any
	if err := json.Unmarshal(out, &dump); err != nil {
		t.Fatalf("bpftool: %v\n%s", err, out)
	}
	shown := make(map[netip.Addr]bool)
	collectServers(dump, shown)
	for _, task := range web {
		if len(task.Addrs) != 1 || !shown[task.Addrs[0]] {
			t.Errorf("task %s with addresses %v is not in the map: %s", task.Hostname, task.Addrs, out)
		}
	}
}

// collectServers finds the addresses of all objects that have the fields of a server with port 8000, wherever in
// bpftool's output they are: it wraps more when several maps have the name.
func collectServers(dump any, found map[netip.Addr]bool) {
	switch v := dump.(type) {
	case []any:
		for _, element := range v {
			collectServers(element, found)
		}
	case map[string]any:
		if octets, ok := v["addr"].([]any); ok && v["port"] == 8000.0 {
			bytes := make([]byte, 0, len(octets))
			for _, octet := range octets {
				if number, ok := octet.(float64); ok {
					bytes = append(bytes, byte(number))
				}
			}
			if addr, ok := netip.AddrFromSlice(bytes); ok {
				found[addr.Unmap()] = true
			}
		}
		for _, element := range v {
			collectServers(element, found)
		}
	}
}

// nothingRemains demands that make stack-down has undone make stack, while the engine still runs.
func nothingRemains(t *testing.T, e *engine.Engine, held engine.BPF) {
	if state := swarmState(t, e); state != "inactive" {
		t.Errorf("the node's swarm is %s, want inactive", state)
	}
	if left := docker(t, e, "ps", "-aq"); left != "" {
		t.Errorf("containers remain: %s", left)
	}
	if left := docker(t, e, "network", "ls", "--filter", "name=waggle", "-q"); left != "" {
		t.Errorf("networks remain: %s", left)
	}
	for _, id := range held.Maps {
		awaitUnknown(t, "map", id)
	}
	for _, id := range held.Programs {
		awaitUnknown(t, "prog", id)
	}
}

// awaitUnknown waits until the kernel no longer knows an object, which it frees some time after its last user.
func awaitUnknown(t *testing.T, kind string, id int) {
	t.Helper()
	end := time.Now().Add(10 * time.Second)
	for {
		out, err := exec.CommandContext(t.Context(), "bpftool", kind, "show", "id", strconv.Itoa(id)).CombinedOutput()
		if err != nil && strings.Contains(string(out), "No such file") {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s %d is still there: %v %s", kind, id, err, out)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// labelsAreTrue compares what the image says of itself with the tree that it was made from and with the program in it.
func labelsAreTrue(t *testing.T, e *engine.Engine) {
	var labels map[string]string
	if err := json.Unmarshal([]byte(docker(t, e, "image", "inspect", "-f", "{{json .Config.Labels}}", "waggle")), &labels); err != nil {
		t.Fatal(err)
	}
	var program struct{ Version, Revision string }
	if err := json.Unmarshal([]byte(docker(t, e, "run", "--rm", "waggle", "version", "--json")), &program); err != nil {
		t.Fatal(err)
	}
	git := func(otherwise string, args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", root}, args...)...).Output()
		if err != nil {
			return otherwise // not a clone
		}
		return strings.TrimSpace(string(out))
	}
	const prefix = "org.opencontainers.image."
	for name, want := range map[string]string{
		"title": "waggle", "licenses": "Apache-2.0",
		"version":  git("devel", "describe", "--tags", "--always", "--dirty"),
		"revision": git("unknown", "rev-parse", "HEAD"),
	} {
		if got := labels[prefix+name]; got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if labels[prefix+"version"] != program.Version || program.Revision != "" && !strings.HasPrefix(program.Revision, labels[prefix+"revision"]) {
		t.Errorf("labels %v, program %+v", labels, program)
	}
	licence, err := os.ReadFile(filepath.Join(root, "LICENSE"))
	if err != nil || !strings.Contains(string(licence[:200]), "Apache License") || !strings.Contains(string(licence[:200]), "Version 2.0") {
		t.Errorf("the licence is another one: %v %.200s", err, licence)
	}
	if labels[prefix+"description"] == "" {
		t.Error("no description")
	}
}
