package swarm

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/test/swarm/engine"
)

// seedPort is what the seed publishes.
const seedPort = 48686

// TestSeed deploys the seed's stack with nothing changed but the image, and the mode of the port, since the
// kernels that tests run on may lack IPVS, which the ingress mesh needs.
func TestSeed(t *testing.T) {
	t.Parallel() // it is the only one of those that runs `make`
	e := startEngine(t)
	docker(t, e, "swarm", "init", "--advertise-addr", e.NodeAddr().String())
	runMake(t, e, "image", "WEB_IMAGE=simple_web")
	t.Run("the image takes the official one's commands", func(t *testing.T) { imageTakesOfficialCommands(t, e) })
	t.Run("the image tells engines what they need", func(t *testing.T) { imageTellsEngines(t, e) })

	docker(t, e, "stack", "deploy", "--resolve-image", "never", "-c", seedInHostMode(t), "seed")
	showServiceOnFailure(t, e, "seed_haproxy")
	began := time.Now()
	awaitRunning(t, e, "seed_haproxy", 1)
	web, _ := awaitRunning(t, e, "seed_web", 3)
	t.Logf("all tasks run after %v", time.Since(began).Round(time.Millisecond))

	// Each step begins with what the one before has left.
	for _, step := range []struct {
		name string
		run  func(*testing.T, *engine.Engine)
	}{
		{"three tasks share requests equally", func(t *testing.T, e *engine.Engine) { awaitShares(t, e, seedPort, hostnames(web)) }},
		{"my-stats is the statistics page", seedStats},
		{"scale 3 to 1", seedScaleToOne},
		{"scale 1 to 0", seedScaleToNone},
		{"scale 0 to 3", seedScaleToThree},
	} {
		if !t.Run(step.name, func(t *testing.T) { step.run(t, e) }) {
			return
		}
	}
}

// seedInHostMode writes a variant of deploy/stack-seed.yml beside a copy of what that mounts.
func seedInHostMode(t *testing.T) string {
	t.Helper()
	const mesh, host = `- "48686:8000"`, `- {target: 8000, published: 48686, mode: host}`
	stack := readFile(t, filepath.Join(root, "deploy/stack-seed.yml"))
	if strings.Count(stack, mesh) != 1 {
		t.Fatalf("deploy/stack-seed.yml has not one port %s", mesh)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{
		"stack.yml":   strings.Replace(stack, mesh, host, 1),
		"haproxy.cfg": readFile(t, filepath.Join(root, "deploy/haproxy.cfg")),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "stack.yml")
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func seedStats(t *testing.T, e *engine.Engine) {
	a := ask(t.Context(), e, seedPort, "/my-stats")
	if a.status != http.StatusOK || a.err != nil {
		t.Fatalf("answer %v", a)
	}
	for _, text := range []string{"Statistics Report", "web_service", "web-3"} {
		if !strings.Contains(a.body, text) {
			t.Errorf("the page does not contain %q", text)
		}
	}
}

// seedScaleToOne: a task leaves Docker's DNS 2 s before it is asked to stop, so that with the seed's cycle of
// 1 s no request meets a task that stops.
func seedScaleToOne(t *testing.T, e *engine.Engine) {
	asking := startAsking(t, e, seedPort)
	began := time.Now()
	docker(t, e, "service", "scale", "-d", "seed_web=1")
	left, changed := awaitRunning(t, e, "seed_web", 1)
	survivor := left[0].Hostname
	asking.awaitOnly(t, changed, 3*time.Second, "answers of "+survivor, func(a answer) bool { return a.task() == survivor })
	asking.stop()
	answers := asking.since(began)
	for _, a := range answers {
		if a.task() == "" {
			t.Errorf("%v after the order to scale, a request failed: %v", a.begun.Sub(began), a)
		}
	}
	t.Logf("%d requests", len(answers))
}

// seedScaleToNone: Docker's DNS then knows the name no more, which `hold nx` bears for 10 s; a cycle of
// queries takes at most `timeout resolve` and 3 times `timeout retry` more, 1 s each.
func seedScaleToNone(t *testing.T, e *engine.Engine) {
	const holdNX, cycle = 10 * time.Second, 4 * time.Second
	asking := startAsking(t, e, seedPort)
	docker(t, e, "service", "scale", "-d", "seed_web=0")
	_, changed := awaitRunning(t, e, "seed_web", 0)
	asking.awaitOnly(t, changed, holdNX+cycle, "503", func(a answer) bool {
		return a.status == http.StatusServiceUnavailable
	})
}

func seedScaleToThree(t *testing.T, e *engine.Engine) {
	const limit = 3 * time.Second
	asking := startAsking(t, e, seedPort)
	docker(t, e, "service", "scale", "-d", "seed_web=3")
	web, changed := awaitRunning(t, e, "seed_web", 3)
	first := make(map[string]time.Duration) // when each was first seen
	for len(first) < len(web) {
		if time.Since(changed) > limit+askTimeout {
			t.Fatalf("%v after three tasks run, only these have answered: %v, want all of %v", time.Since(changed), first, hostnames(web))
		}
		time.Sleep(20 * time.Millisecond)
		for _, a := range asking.since(time.Time{}) {
			if _, known := first[a.task()]; !known && a.task() != "" {
				first[a.task()] = a.begun.Sub(changed)
			}
		}
	}
	for name, after := range first {
		if after > limit {
			t.Errorf("%s answered only %v after three tasks run, more than %v", name, after, limit)
		}
	}
	t.Logf("first answers, after three tasks run: %v", first)
	asking.awaitOnly(t, changed, limit, "answers of tasks", func(a answer) bool { return a.task() != "" })
}
