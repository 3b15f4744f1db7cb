package swarm

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"waggle/test/docs/page"
	"waggle/test/swarm/engine"
)

// dockerCommandsOfDocuments runs the commands of docker that README and docs show, beside the stack, with a container of waggle
// for CONTAINER. All others are run by TestCommandsOfTheDocuments of test/e2e.
func dockerCommandsOfDocuments(t *testing.T, e *engine.Engine, container string) {
	dir := t.TempDir()
	config, err := os.ReadFile(filepath.Join(root, "deploy/recommended.cfg"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"haproxy.cfg": config, "site.pem": []byte("a secret")} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil { // #nosec G306 -- the container reads it
			t.Fatal(err)
		}
	}
	places := strings.NewReplacer("CONTAINER", container, "REGISTRY", "registry.example", "VERSION", "1", "waggle top", "waggle top rounds 1")
	documents, err := page.Documents(root)
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, name := range documents {
		p, err := page.Read(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range p.Commands() {
			if !strings.HasPrefix(l.Text, "docker ") || tried[l.Text] {
				continue
			}
			tried[l.Text] = true
			cmd := exec.CommandContext(t.Context(), "bash", "-c", places.Replace(l.Text))
			cmd.Dir = dir
			var out strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := e.OnNode(cmd); err != nil {
				t.Errorf("%s:%d: %s\n%v\n%s", name, l.Number, l.Text, err, &out)
			}
		}
	}
	if len(tried) < 8 {
		t.Errorf("only %d commands were found", len(tried))
	}
	docker(t, e, "secret", "rm", "site.pem")
}
