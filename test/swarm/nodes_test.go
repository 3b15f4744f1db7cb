package swarm

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"waggle/test/swarm/drive"
	"waggle/test/swarm/engine"
)

// Where the balancer of TestTwoNodes is published, and what its file listens on.
const (
	nodesHTTP  = 20000
	nodesLine  = 20001
	nodesStats = 20002
)

// TestTwoNodes has a swarm of two engines, connected by VXLAN, with waggle on both. One of them dies.
func TestTwoNodes(t *testing.T) {
	t.Parallel()
	e := startEngines(t, 2)
	nodes := joinSwarm(t, e)
	deployOnNodes(t, e)
	web, _ := awaitRunning(t, e[0], "web", 4)
	balancers, _ := awaitRunning(t, e[0], "waggle", 2)
	if perNode := tasksByNode(balancers); perNode[nodes[0]] != 1 || perNode[nodes[1]] != 1 {
		t.Fatalf("balancers by node: %v, want one on each", perNode)
	}
	perNode := tasksByNode(web)
	if perNode[nodes[0]] == 0 || perNode[nodes[1]] == 0 {
		t.Fatalf("tasks by node: %v, want some on each", perNode)
	}
	t.Logf("tasks by node: %v", perNode)
	for i := range e {
		if !t.Run(fmt.Sprintf("node %d shares HTTP between all tasks", i+1), func(t *testing.T) {
			awaitShares(t, e[i], nodesHTTP, hostnames(web))
		}) || !t.Run(fmt.Sprintf("node %d shares TCP between all tasks, in the kernel", i+1), func(t *testing.T) {
			shareLines(t, e[i], hostnames(web))
		}) {
			return
		}
	}
	t.Run("a node dies", func(t *testing.T) { surviveNode(t, e, nodes, web) })
}

// startEngines starts engines on one network.
func startEngines(t *testing.T, n int) []*engine.Engine {
	t.Helper()
	needEngine(t)
	network, err := engine.NewNetwork()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := network.Close(); err != nil {
			t.Errorf("close network: %v", err)
		}
	})
	var engines []*engine.Engine
	for range n {
		engines = append(engines, closeAtEnd(t, func() (*engine.Engine, error) { return network.Start(t.Context()) }))
	}
	return engines
}

// joinSwarm makes a swarm of engines, the first its manager, and returns the identifiers of their nodes.
func joinSwarm(t *testing.T, e []*engine.Engine) []string {
	t.Helper()
	docker(t, e[0], "swarm", "init", "--advertise-addr", e[0].NodeAddr().String())
	token := docker(t, e[0], "swarm", "join-token", "-q", "worker")
	for _, worker := range e[1:] {
		docker(t, worker, "swarm", "join", "--advertise-addr", worker.NodeAddr().String(), "--token", token, e[0].NodeAddr().String()+":2377")
	}
	var nodes []string
	for _, one := range e {
		nodes = append(nodes, docker(t, one, "info", "--format", "{{.Swarm.NodeID}}"))
	}
	return nodes
}

func deployOnNodes(t *testing.T, e []*engine.Engine) {
	t.Helper()
	for _, one := range e {
		if err := drive.BuildTask(t.Context(), one, root); err != nil {
			t.Fatal(err)
		}
		if err := drive.BuildWaggle(t.Context(), one, root); err != nil {
			t.Fatal(err)
		}
	}
	capabilities, err := drive.Capabilities(t.Context(), e[0])
	if err != nil {
		t.Fatal(err)
	}
	docker(t, e[0], "network", "create", "--driver", "overlay", "edge")
	docker(t, e[0], "config", "create", "balancer", filepath.Join(root, "deploy/recommended.cfg"))
	docker(t, e[0], "service", "create", "--detach", "--name", "web", "--network", "edge", "--endpoint-mode", "dnsrr",
		"--replicas", "4", "--no-resolve-image", "--no-healthcheck", "--env", "TASK_DRAIN=1s", drive.TaskImage)
	args := []string{
		"service", "create", "--detach", "--name", "waggle", "--network", "edge", "--endpoint-mode", "dnsrr",
		"--mode", "global", "--no-resolve-image", "--config", "source=balancer,target=/waggle.cfg",
	}
	for published, target := range map[int]int{nodesHTTP: 8000, nodesLine: 8001, nodesStats: 8404} {
		args = append(args, "--publish", fmt.Sprintf("mode=host,target=%d,published=%d", target, published))
	}
	for _, capability := range capabilities {
		args = append(args, "--cap-add", capability)
	}
	docker(t, e[0], append(args, drive.WaggleImage, "--datapath=tc", "-f", "/waggle.cfg")...)
	showServiceOnFailure(t, e[0], "waggle")
	showServiceOnFailure(t, e[0], "web")
}

func tasksByNode(list []engine.Task) map[string]int {
	count := make(map[string]int)
	for _, task := range list {
		count[task.NodeID]++
	}
	return count
}

// shareLines demands that connections are shared equally, and that all of them went through the kernel path.
func shareLines(t *testing.T, e *engine.Engine, names []string) {
	const each = 10
	shares := make(map[string]int)
	for range each * len(names) {
		name, err := drive.AskLine(t.Context(), e, nodesLine)
		if err != nil {
			t.Fatal(err)
		}
		shares[name]++
	}
	for _, name := range names {
		if shares[name] != each {
			t.Errorf("%s answered %d connections, want %d; all: %v", name, shares[name], each, shares)
		}
	}
	a := ask(t.Context(), e, nodesStats, "/metrics")
	for series, want := range map[string]func(float64) bool{
		`waggle_frontend_sessions_total{path="kernel",proxy="tcp_in"}`:    some,
		`waggle_frontend_sessions_total{path="userspace",proxy="tcp_in"}`: none,
	} {
		if value, ok := sample(a.body, series); !ok || !want(value) {
			t.Errorf("%s is %v (there: %v)", series, value, ok)
		}
	}
}

// detectionLimit is how long after the death of a node requests to the other one may fail. The recommended
// configuration checks each second and calls a server down at the third failure, each of which may take another
// second; what was sent to a dead task over a connection that waited for use is lost until then.
const detectionLimit = 6 * time.Second

// surviveNode unplugs the second node and follows what the first one does: without its tasks at once, and with as
// many as before when Swarm has replaced them.
func surviveNode(t *testing.T, e []*engine.Engine, nodes []string, web []engine.Task) {
	survivors := hostnames(slices.DeleteFunc(slices.Clone(web), func(task engine.Task) bool { return task.NodeID != nodes[0] }))
	asking, lines := startAskingPatiently(t, e[0])
	time.Sleep(500 * time.Millisecond) // of requests that succeed
	moment := time.Now()
	if err := e[1].Unplug(); err != nil {
		t.Fatal(err)
	}
	if err := e[1].Close(); err != nil {
		t.Errorf("close the dead node's engine: %v", err)
	}
	ofTask := func(a answer) bool { return a.task() != "" }
	ofSurvivor := func(a answer) bool { return slices.Contains(survivors, a.task()) }
	asking.awaitOnly(t, moment, detectionLimit, "answers of survivors over HTTP", ofSurvivor)
	lines.awaitOnly(t, moment, detectionLimit, "answers of survivors over TCP", ofSurvivor)

	// Swarm notices that the node is gone, and starts its tasks elsewhere.
	replaced := awaitOnNode(t, e[0], "web", nodes[0], len(web))
	t.Logf("all tasks are on the other node %v after the death", time.Since(moment).Round(time.Second))
	asking.stop()
	lines.stop()
	awaitShares(t, e[0], nodesHTTP, hostnames(replaced))
	for what, k := range map[string]*asker{"HTTP": asking, "TCP": lines} {
		var failed int
		var last time.Duration
		all := k.since(time.Time{})
		for _, a := range all {
			if ofTask(a) {
				continue
			}
			failed++
			last = a.begun.Sub(moment)
			t.Logf("%s, %v after the death: %v", what, last, a)
			if last > detectionLimit {
				t.Errorf("this is more than %v", detectionLimit)
			}
		}
		t.Logf("%s: %d of %d failed, the last one begun %v after the death", what, failed, len(all), last.Round(time.Millisecond))
	}
}

// awaitOnNode waits until n tasks of a service run on a node, and returns them.
func awaitOnNode(t *testing.T, e *engine.Engine, service, node string, n int) []engine.Task {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deployTimeout)
	defer cancel()
	for {
		list := slices.DeleteFunc(running(t, e, service), func(task engine.Task) bool { return task.NodeID != node })
		if len(list) == n {
			return list
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s has not %d running tasks on %s: %+v", service, n, node, tasks(t, e, service))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// patience is how long a client waits when a node has died: both tasks that are gone may be tried before another
// one, a second each, and over TCP the second try is the client's third SYN.
const patience = 5 * time.Second

// startAskingPatiently asks over HTTP and over TCP.
func startAskingPatiently(t *testing.T, e *engine.Engine) (web, lines *asker) {
	web = startAskingBy(t, func(ctx context.Context) answer {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return ask(ctx, e, nodesHTTP, "/")
	})
	lines = startAskingBy(t, func(ctx context.Context) answer {
		a := answer{begun: time.Now()}
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		name, err := drive.AskLine(ctx, e, nodesLine)
		if a.err = err; err == nil {
			a.status, a.body = http.StatusOK, "hostname: "+name
		}
		return a
	})
	return web, lines
}
