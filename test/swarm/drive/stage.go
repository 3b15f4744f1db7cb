package drive

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"waggle/test/swarm/engine"
)

const (
	overlay = "edge"
	webName = "web"

	// webReplicas is how many tasks the service has, where an act does not say otherwise.
	webReplicas = 3
	// stepTimeout bounds how long the swarm may take to become what it was told to be.
	stepTimeout = 120 * time.Second
)

// Stage is a swarm of one engine with the web service and the contenders. One goroutine uses it.
type Stage struct {
	Engine     *engine.Engine
	Contenders []Contender
	// Rest is how long an act lasts after the swarm is done with it: until every balancer must have noticed,
	// and `hold obsolete` of the seed is over. It may be set before [Stage.Run].
	Rest time.Duration

	root         string // of the repository
	reports      string // directory where tasks leave their records
	capabilities []string
	configs      map[string]bool       // swarm configurations that exist
	sources      map[netip.Addr]string // names of contenders by their address on the overlay
	containers   map[string]string     // of contenders, by name
	behaviour    Behaviour             // of the tasks that run
	generation   int
}

// Open starts an engine, makes it a swarm, and deploys the web service, whose tasks behave as told, and the
// contenders. root is the repository. Close the stage.
func Open(ctx context.Context, root string, contenders []Contender, b Behaviour) (_ *Stage, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	s := &Stage{
		Contenders: contenders, Rest: 12 * time.Second, root: root, configs: make(map[string]bool),
		behaviour: b, sources: make(map[netip.Addr]string), containers: make(map[string]string),
	}
	if s.Engine, err = engine.Start(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	for _, step := range []func(context.Context) error{s.prepare, s.buildImages, s.deployAll, s.awaitContenders} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Close ends the engine and all that is in it.
func (s *Stage) Close() error { return s.Engine.Close() }

func (s *Stage) prepare(ctx context.Context) (err error) {
	if s.reports, err = s.Engine.MkdirTemp("reports-"); err != nil {
		return err
	}
	if s.capabilities, err = Capabilities(ctx, s.Engine); err != nil {
		return err
	}
	if _, err := s.Engine.Docker(ctx, "swarm", "init", "--advertise-addr", s.Engine.NodeAddr().String()); err != nil {
		return err
	}
	_, err = s.Engine.Docker(ctx, "network", "create", "--driver", "overlay", overlay)
	return err
}

// Capabilities are what a service needs for the kernel path. Engines before 23.0 refuse CAP_BPF and CAP_PERFMON by
// name, and reject the task for ever.
func Capabilities(ctx context.Context, e *engine.Engine) ([]string, error) {
	version, err := e.Docker(ctx, "version", "--format", "{{.Server.Version}}")
	if err != nil {
		return nil, err
	}
	major, _, _ := strings.Cut(strings.TrimSpace(version), ".")
	if n, err := strconv.Atoi(major); err == nil && n < 23 {
		return []string{"NET_ADMIN", "NET_RAW", "SYS_ADMIN"}, nil
	}
	return []string{"NET_ADMIN", "NET_RAW", "BPF", "PERFMON"}, nil
}

func (s *Stage) buildImages(ctx context.Context) error {
	if err := BuildTask(ctx, s.Engine, s.root); err != nil {
		return err
	}
	var waggle, haproxy bool
	for _, c := range s.Contenders {
		waggle = waggle || c.Image == WaggleImage
		haproxy = haproxy || c.Image == haproxyImage
	}
	if waggle {
		if err := BuildWaggle(ctx, s.Engine, s.root); err != nil {
			return err
		}
	}
	if haproxy {
		return buildHAProxy(ctx, s.Engine)
	}
	return nil
}

func (s *Stage) deployAll(ctx context.Context) error {
	args := []string{
		"service", "create", "--detach", "--name", webName, "--network", overlay, "--endpoint-mode", "dnsrr",
		"--replicas", strconv.Itoa(webReplicas), "--no-resolve-image",
		"--mount", "type=bind,source=" + s.reports + ",target=/reports",
		"--stop-grace-period", "10s", "--restart-delay", "1s",
		"--update-parallelism", "1", "--update-monitor", "500ms", "--update-delay", "0s",
	}
	args = append(append(args, s.behaviour.flags("--env")...), TaskImage)
	if _, err := s.Engine.Docker(ctx, args...); err != nil {
		return err
	}
	for i, c := range s.Contenders {
		if err := s.deploy(ctx, i, c); err != nil {
			return fmt.Errorf("deploy %s: %w", c.Name, err)
		}
	}
	return nil
}

// awaitContenders waits until all contenders and all web tasks run, and learns the contenders' addresses.
func (s *Stage) awaitContenders(ctx context.Context) error {
	if _, err := s.awaitRunning(ctx, webName, webReplicas); err != nil {
		return err
	}
	for _, c := range s.Contenders {
		tasks, err := s.awaitRunning(ctx, c.Name, 1)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, s.logs(c.Name))
		}
		s.containers[c.Name] = tasks[0].ContainerID
		for _, addr := range tasks[0].Addrs {
			s.sources[addr] = c.Name
		}
	}
	return nil
}

// checkContenders fails if a contender is not the process that was started.
func (s *Stage) checkContenders(ctx context.Context) error {
	for _, c := range s.Contenders {
		tasks, err := s.Engine.Tasks(ctx, c.Name)
		if err != nil {
			return err
		}
		if len(tasks) != 1 || !tasks[0].Running() || tasks[0].ContainerID != s.containers[c.Name] {
			return fmt.Errorf("%s did not live through the run: %+v\n%s", c.Name, tasks, s.logs(c.Name))
		}
	}
	return nil
}

// logs is the end of what a service said.
func (s *Stage) logs(service string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := s.Engine.Docker(ctx, "service", "logs", "--raw", "--tail", "40", service)
	if err != nil {
		return err.Error()
	}
	return out
}

// Logs writes all that a contender has said to a file.
func (s *Stage) Logs(ctx context.Context, contender, path string) error {
	out, err := s.Engine.Docker(ctx, "service", "logs", "--raw", "-t", contender)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(out), 0o644)
}

// await asks a question until the answer is yes.
func await(ctx context.Context, what string, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	for {
		yes, err := ask()
		if yes || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("await %s: %w", what, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// awaitRunning waits until n tasks of a service run and none is on its way in or out.
func (s *Stage) awaitRunning(ctx context.Context, service string, n int) (running []engine.Task, err error) {
	var tasks []engine.Task
	err = await(ctx, fmt.Sprintf("%d tasks of %s", n, service), func() (bool, error) {
		if tasks, err = s.Engine.Tasks(ctx, service); err != nil {
			return false, err
		}
		running = nil
		for _, t := range tasks {
			switch {
			case t.Running() && t.Desired == "running":
				running = append(running, t)
			case !t.Over():
				return false, nil
			}
		}
		return len(running) == n, nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w; there are %+v", err, tasks)
	}
	return running, nil
}
