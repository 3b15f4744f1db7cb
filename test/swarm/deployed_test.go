package swarm

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/pki"
	"waggle/test/swarm/drive"
	"waggle/test/swarm/engine"
)

// hostConfig is what an operator has in /etc/waggle for deploy/stack-host.yml: servers at addresses that the host has a way to.
const hostConfig = `
defaults
    mode tcp
    timeout connect 2s
    timeout client 1m
    timeout server 1m

frontend http_in
    bind *:48688
    default_backend web

backend web
    server one %s:8000 check inter 500ms
    server two %s:8000 check inter 500ms

frontend stats_in
    mode http
    bind *:48689
    http-request use-service prometheus-exporter if { path /metrics }
    stats enable
    stats uri /stats
`

const (
	hostHTTP  = 48688
	hostStats = 48689
)

// TestDeployedStacks deploys the stacks of deploy/ that a swarm of one node can run, as they are.
func TestDeployedStacks(t *testing.T) {
	t.Parallel()
	e := startEngine(t)
	docker(t, e, "swarm", "init", "--advertise-addr", e.NodeAddr().String())
	if err := errors.Join(drive.BuildWaggle(t.Context(), e, root), drive.BuildTask(t.Context(), e, root)); err != nil {
		t.Fatal(err)
	}
	t.Run("on the host's network", func(t *testing.T) { hostStack(t, e) })
	t.Run("TLS, and the monitoring stack beside it", func(t *testing.T) { tlsStack(t, e) })
}

// deployFile deploys a stack file as it stands, with variables of the environment.
func deployFile(t *testing.T, e *engine.Engine, file, name string, env ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "docker", "stack", "deploy", "--resolve-image", "never", "-c", filepath.Join(root, file), name)
	cmd.Env = append(env, "WAGGLE_IMAGE="+drive.WaggleImage, "WEB_IMAGE="+drive.TaskImage)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := e.OnNode(cmd); err != nil {
		t.Fatalf("deploy %s: %v\n%s", file, err, said.String())
	}
}

// hostStack: the kernel path carries connections between the host's own interfaces, a kill of the container breaks none, the next
// container takes over from the pins, and so does one of a rolling update.
func hostStack(t *testing.T, e *engine.Engine) {
	dir, err := e.MkdirTemp("etc-waggle-")
	if err != nil {
		t.Fatal(err)
	}
	var servers, names []any
	for range 2 {
		id := docker(t, e, "run", "-d", drive.TaskImage)
		names = append(names, id[:12])
		servers = append(servers, docker(t, e, "inspect", "-f", "{{.NetworkSettings.IPAddress}}", id))
	}
	if err := os.WriteFile(filepath.Join(dir, "haproxy.cfg"), fmt.Appendf(nil, hostConfig, servers...), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(e.OnDisk("/sys/fs/bpf/waggle"), 0o700); err != nil { // as systemd-tmpfiles does
		t.Fatal(err)
	}
	docker(t, e, "node", "update", "--label-add", "edge=true", docker(t, e, "info", "--format", "{{.Swarm.NodeID}}"))
	deployFile(t, e, "deploy/stack-host.yml", "edge", append(capabilityVariables(t, e), "WAGGLE_CONFIG_DIR="+dir)...)
	showServiceOnFailure(t, e, "edge_waggle")
	first, _ := awaitRunning(t, e, "edge_waggle", 1)
	awaitShares(t, e, hostHTTP, []string{fmt.Sprint(names[0]), fmt.Sprint(names[1])})
	if n := hostSessions(t, e); n < 20 {
		t.Fatalf("the kernel carried %v connections", n)
	}

	for _, c := range []struct {
		what string
		end  func()
	}{
		{"kill -9", func() { docker(t, e, "kill", "-s", "KILL", first[0].ContainerID) }},
		{"a rolling update", func() { docker(t, e, "service", "update", "--force", "--detach", "edge_waggle") }},
	} {
		t.Run(c.what, func(t *testing.T) {
			before := hostSessions(t, e)
			var held []*heldRequest
			for range 6 {
				held = append(held, holdRequest(t, e))
			}
			c.end()
			second := awaitAnother(t, e, "edge_waggle", first[0].ContainerID)
			awaitShares(t, e, hostHTTP, []string{fmt.Sprint(names[0]), fmt.Sprint(names[1])})
			for _, h := range held {
				h.finish(t)
			}
			if log := containerLog(t, e, second.ContainerID); !strings.Contains(log, "taken over") {
				t.Errorf("the new container has not taken over:\n%s", log)
			}
			if after := hostSessions(t, e); after < before+6 {
				t.Errorf("%v sessions are counted, %v before", after, before)
			}
			first[0] = second
		})
	}
	endForGood(t, e)
}

// containerLog is what a container has written to both of its outputs.
func containerLog(t *testing.T, e *engine.Engine, id string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "docker", "logs", id)
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := e.OnNode(cmd); err != nil {
		t.Fatal(err)
	}
	return said.String()
}

// capabilityVariables are those that deploy/stack.sh sets for an engine before 23.0.
func capabilityVariables(t *testing.T, e *engine.Engine) []string {
	t.Helper()
	capabilities, err := drive.Capabilities(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.Join(capabilities, " "), "SYS_ADMIN") {
		return []string{"WAGGLE_CAP_BPF=SYS_ADMIN", "WAGGLE_CAP_PERFMON=CAP_SYS_ADMIN"}
	}
	return nil
}

func hostSessions(t *testing.T, e *engine.Engine) float64 {
	t.Helper()
	const series = `waggle_frontend_sessions_total{path="kernel",proxy="http_in"}`
	a := ask(t.Context(), e, hostStats, "/metrics")
	value, ok := sample(a.body, series)
	if !ok {
		t.Fatalf("no %s: %v", series, a)
	}
	return value
}

// heldRequest is half of a request on a connection of its own.
type heldRequest struct{ net.Conn }

func holdRequest(t *testing.T, e *engine.Engine) *heldRequest {
	t.Helper()
	conn, err := e.DialContext(t.Context(), "tcp4", netip.AddrPortFrom(e.NodeAddr(), hostHTTP).String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(deployTimeout))
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: held\r\nConnection: close\r\n"); err != nil {
		t.Fatal(err)
	}
	return &heldRequest{conn}
}

func (h *heldRequest) finish(t *testing.T) {
	t.Helper()
	_, err := io.WriteString(h, "\r\n")
	if err != nil {
		t.Error("a connection from before:", err)
		return
	}
	resp, err := http.ReadResponse(bufio.NewReader(h), nil)
	if err != nil {
		t.Error("a connection from before:", err)
		return
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || !strings.HasPrefix(string(body), "hostname: ") {
		t.Errorf("a connection from before: %q, %v", body, err)
	}
}

// awaitAnother waits until a service's task runs in another container than the given one.
func awaitAnother(t *testing.T, e *engine.Engine, service, than string) engine.Task {
	t.Helper()
	for end := time.Now().Add(deployTimeout); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		for _, task := range running(t, e, service) {
			if task.ContainerID != than {
				return task
			}
		}
	}
	t.Fatalf("%s runs in no other container after %v: %+v", service, deployTimeout, tasks(t, e, service))
	return engine.Task{}
}

// endForGood does what docs/operations.md says: with --keep-datapath the kernel path outlives a stop, until its pins are removed.
func endForGood(t *testing.T, e *engine.Engine) {
	t.Helper()
	last := running(t, e, "edge_waggle")[0]
	held, err := e.BPF(last.ContainerID)
	if err != nil {
		t.Fatal(err)
	}
	if len(held.Programs) == 0 {
		t.Fatal("it has loaded no program")
	}
	request := holdRequest(t, e)
	docker(t, e, "stack", "rm", "edge")
	for end := time.Now().Add(deployTimeout); docker(t, e, "ps", "-q", "--filter", "name=edge_waggle") != ""; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the container runs on")
		}
	}
	request.finish(t) // nobody is there, and it is carried all the same
	pins := e.OnDisk("/sys/fs/bpf/waggle")
	layouts, err := filepath.Glob(filepath.Join(pins, "layout-*"))
	if err != nil || len(layouts) != 1 {
		t.Fatalf("pins %v, %v", layouts, err)
	}
	if err := os.RemoveAll(layouts[0]); err != nil {
		t.Error(err)
	}
	for _, id := range held.Programs {
		awaitUnknown(t, "prog", id)
	}
}

// tlsStack: the certificate comes from the secret, requests are shared, plain HTTP is sent to HTTPS, and a killed container is
// replaced by one that does the same.
func tlsStack(t *testing.T, e *engine.Engine) {
	authority := pki.New(t)
	file := authority.File(t.TempDir(), "site.pem", pki.Request{CN: "site.example", Names: []string{"site.example"}})
	docker(t, e, "secret", "create", "site.pem", file)
	deployFile(t, e, "deploy/stack-tls.yml", "tls")
	showServiceOnFailure(t, e, "tls_waggle")
	first, _ := awaitRunning(t, e, "tls_waggle", 1)
	web, _ := awaitRunning(t, e, "tls_web", 3)
	deployMonitoring(t, e, "tls_edge")

	client := &http.Client{Timeout: askTimeout, Transport: &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: authority.Pool()},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return e.DialContext(ctx, network, net.JoinHostPort(e.NodeAddr().String(), port))
		},
	}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(url string) (status int, text string, err error) {
		resp, err := client.Get(url)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Header.Get("Location") + string(body), err
	}
	want := map[string]int{}
	for _, name := range hostnames(web) {
		want["hostname: "+name] = 10
	}
	awaitEqual := func(t *testing.T) {
		t.Helper()
		var got map[string]int
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			got = map[string]int{}
			for range 30 {
				status, text, err := get("https://site.example/")
				if err != nil || status != http.StatusOK {
					text = fmt.Sprint(status, err)
				}
				got[strings.TrimSpace(text)]++
			}
			if maps.Equal(got, want) {
				return
			}
		}
		t.Fatalf("30 requests gave %v, want %v", got, want)
	}
	awaitEqual(t)
	if status, text, err := get("http://site.example/path"); err != nil || status != http.StatusMovedPermanently || text != "https://site.example/path" {
		t.Errorf("plain HTTP gives %d, %q, %v", status, text, err)
	}
	docker(t, e, "kill", "-s", "KILL", first[0].ContainerID)
	awaitAnother(t, e, "tls_waggle", first[0].ContainerID)
	awaitEqual(t)
	monitors(t, e)
}
