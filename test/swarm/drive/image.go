package drive

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"

	"waggle/test/swarm/engine"
)

// Images that the engine has after the builds below.
const (
	WaggleImage  = "waggle"
	TaskImage    = "wg-task"
	haproxyImage = "wg-haproxy"
)

// BuildWaggle makes waggle's image, from a program of its own: `make image` may be at work beside it. root is the
// repository.
func BuildWaggle(ctx context.Context, e *engine.Engine, root string) error {
	dir, err := compile(ctx, e, root, "waggle/cmd/waggle")
	if err != nil {
		return err
	}
	dockerfile, err := os.ReadFile(filepath.Join(root, "deploy/Dockerfile"))
	if err != nil {
		return err
	}
	const licences = "THIRD_PARTY_LICENSES"
	texts, err := os.ReadFile(filepath.Join(root, "deploy", licences))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, licences), texts, 0o600); err != nil {
		return err
	}
	return build(ctx, e, WaggleImage, dir, dockerfile)
}

// BuildTask makes the image of the web service. root is the repository.
func BuildTask(ctx context.Context, e *engine.Engine, root string) error {
	dir, err := compile(ctx, e, root, "waggle/test/swarm/task")
	if err != nil {
		return err
	}
	return build(ctx, e, TaskImage, dir, []byte(`FROM scratch
COPY task /task
HEALTHCHECK --interval=1s --timeout=2s --retries=2 CMD ["/task", "health"]
ENTRYPOINT ["/task"]
`))
}

// compile builds a static program into a directory of the engine's.
func compile(ctx context.Context, e *engine.Engine, root, program string) (dir string, err error) {
	if dir, err = e.MkdirTemp("build-"); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", dir, program)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build %s: %w\n%s", program, err, out)
	}
	return dir, nil
}

// BuildPrometheus makes an image of the Prometheus that is installed on this machine, with the command of the official image.
func BuildPrometheus(ctx context.Context, e *engine.Engine, image string) error {
	return buildInstalled(ctx, e, image, "prometheus", `CMD ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus"]`)
}

// BuildGrafana makes the image of Grafana's stand-in. root is the repository.
func BuildGrafana(ctx context.Context, e *engine.Engine, root, image string) error {
	dir, err := compile(ctx, e, root, "waggle/test/swarm/grafana")
	if err != nil {
		return err
	}
	return build(ctx, e, image, dir, []byte("FROM scratch\nCOPY grafana /grafana\nENTRYPOINT [\"/grafana\"]\n"))
}

// buildHAProxy makes an image of the haproxy that is installed on this machine.
func buildHAProxy(ctx context.Context, e *engine.Engine) error {
	return buildInstalled(ctx, e, haproxyImage, "haproxy")
}

// buildInstalled makes an image from a program of this machine and the libraries that it needs. more are lines for the
// Dockerfile.
func buildInstalled(ctx context.Context, e *engine.Engine, image, program string, more ...string) error {
	binary, err := exec.LookPath(program)
	if err != nil {
		return err
	}
	listing, err := exec.CommandContext(ctx, "ldd", binary).Output()
	if err != nil {
		return fmt.Errorf("ldd %s: %w", binary, err)
	}
	dir, err := e.MkdirTemp(program + "-")
	if err != nil {
		return err
	}
	paths := []string{binary}
	for _, match := range regexp.MustCompile(`(/\S+) \(0x`).FindAllSubmatch(listing, -1) {
		paths = append(paths, string(match[1]))
	}
	var dockerfile bytes.Buffer
	fmt.Fprintln(&dockerfile, "FROM scratch")
	for i, path := range paths {
		content, err := os.ReadFile(path) // of what a symbolic link points to
		if err != nil {
			return err
		}
		name := fmt.Sprintf("f%d", i)
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o755); err != nil {
			return err
		}
		fmt.Fprintf(&dockerfile, "COPY %s %s\n", name, path)
	}
	fmt.Fprintf(&dockerfile, "ENTRYPOINT [%q]\n", binary)
	for _, line := range more {
		fmt.Fprintln(&dockerfile, line)
	}
	return build(ctx, e, image, dir, dockerfile.Bytes())
}

func build(ctx context.Context, e *engine.Engine, image, dir string, dockerfile []byte) error {
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), dockerfile, 0o644); err != nil {
		return err
	}
	_, err := e.Docker(ctx, "build", "-q", "-t", image, dir)
	return err
}
