// Package deploy tests that the files beside it keep what they promise about each other and about the setup
// that they are to replace.
package deploy

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"waggle/pkg/config"
)

// Digests of the setup that must run with nothing changed but the image.
const (
	seedConfig = "e863f24b1f076c362c57b3ebe63d3156ef4a4d2542603465aec0194651e142d2"
	seedStack  = "b1c2d13f5a260f7fa4ad038483e5c4544250eb1400d71da188b2bae855a854ee"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func TestSeedConfigIsUnchanged(t *testing.T) {
	if got := digest(read(t, "haproxy.cfg")); got != seedConfig {
		t.Errorf("digest of haproxy.cfg is %s, want %s", got, seedConfig)
	}
}

func TestSeedStackDiffersByItsImageOnly(t *testing.T) {
	stack := read(t, "stack-seed.yml")
	const ours, theirs = "    image: waggle\n", "    image: haproxy:2.1\n"
	if n := bytes.Count(stack, []byte(ours)); n != 1 {
		t.Fatalf("%d lines %q, want 1", n, ours)
	}
	if got := digest(bytes.Replace(stack, []byte(ours), []byte(theirs), 1)); got != seedStack {
		t.Errorf("with the image changed back the digest is %s, want %s", got, seedStack)
	}
}

// TestDockerfilesMakeTheSameImage compares the instructions of the last stage, apart from where files are copied from.
func TestDockerfilesMakeTheSameImage(t *testing.T) {
	local := lastStage(t, "Dockerfile")
	built := lastStage(t, "Dockerfile.build")
	built = strings.NewReplacer("COPY --from=build ", "COPY ", "/waggle /usr", "waggle /usr", "/src/deploy/THIRD_PARTY_LICENSES /sbom", "THIRD_PARTY_LICENSES sbom", ".cdx.json /usr", ".cdx.json* /usr").Replace(built)
	if local != built {
		t.Errorf("Dockerfile:\n%s\nDockerfile.build:\n%s", local, built)
	}
}

// lastStage returns the instructions from the last FROM on, without comments and empty lines.
func lastStage(t *testing.T, name string) string {
	t.Helper()
	var stage []string
	for line := range strings.Lines(string(read(t, name))) {
		switch {
		case strings.HasPrefix(line, "FROM "):
			stage = []string{line}
		case strings.TrimSpace(line) != "" && !strings.HasPrefix(line, "#"):
			stage = append(stage, line)
		}
	}
	return strings.Join(stage, "")
}

// A task that Swarm kills tells neither clients nor servers: the soft stop must be over before.
func TestSoftStopsEndBeforeSwarmKills(t *testing.T) {
	for stack, files := range map[string][]string{"../docker-stack.yml": {"haproxy.cfg", "extra.cfg"}, "stack-tls.yml": {"tls.cfg"}} {
		period := regexp.MustCompile(`(?m)^    stop_grace_period: (\w+)`).FindSubmatch(read(t, stack))
		if period == nil {
			t.Fatalf("%s has no stop_grace_period", stack)
		}
		killed, err := time.ParseDuration(string(period[1]))
		if err != nil {
			t.Fatal(err)
		}
		cfg, _, err := config.Load(files, config.LoadOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if ends := cfg.Global.Grace + cfg.Global.HardStopAfter; cfg.Global.HardStopAfter == 0 || ends > killed-2*time.Second {
			t.Errorf("%s: sessions are cut after %v, and killed after %v", stack, ends, killed)
		}
	}
}
