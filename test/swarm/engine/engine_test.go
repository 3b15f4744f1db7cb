package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab/require"
)

func TestMain(m *testing.M) {
	Main()
	if dir := os.Getenv(envVictim); dir != "" {
		exit("victim", victim(dir))
	}
	os.Exit(m.Run())
}

// envVictim makes this program start an engine, run a container of the image in the directory that it names, say
// which directory the engine's is, and wait to be killed.
const envVictim = "WAGGLE_SWARM_VICTIM"

func victim(image string) error {
	ctx := context.Background()
	e, err := Start(ctx)
	if err != nil {
		return err
	}
	for _, args := range [][]string{{"build", "-q", "-t", "victim", image}, {"run", "-d", "victim"}} {
		if _, err := e.Docker(ctx, args...); err != nil {
			return errors.Join(err, e.Close())
		}
	}
	fmt.Println(e.dir)
	select {}
}

// TestKilledTestLeavesNothing kills a process that has an engine with a container, as the kernel or an
// impatient person may, and expects all of it to vanish.
func TestKilledTestLeavesNothing(t *testing.T) {
	require.Root(t)
	for _, tool := range []string{"docker", "dockerd", "containerd", "runc", "iptables"} {
		require.Tool(t, tool)
	}
	cmd, dir := startVictim(t)
	left := leftOf(t, dir)
	for _, kind := range []string{"directory", "control group", "process"} {
		if !strings.Contains(left, kind) {
			t.Fatalf("the engine has no %s before it is killed, so that this test shows nothing: %q", kind, left)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		left := leftOf(t, dir)
		if left == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("left behind: %s", left)
		}
	}
}

// startVictim returns a running victim, and its engine's directory.
func startVictim(t *testing.T) (*exec.Cmd, string) {
	t.Helper()
	image := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", image, "waggle/deploy/simple_web")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	dockerfile := []byte("FROM scratch\nCOPY simple_web /\nENTRYPOINT [\"/simple_web\"]\n")
	if err := os.WriteFile(filepath.Join(image, "Dockerfile"), dockerfile, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), envVictim+"="+image)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed, as it should
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the victim says no directory: %v", err)
	}
	return cmd, strings.TrimSpace(line)
}

// leftOf names what there is of the engine of a directory; nothing if there is nothing.
func leftOf(t *testing.T, dir string) string {
	t.Helper()
	var left []string
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		left = append(left, fmt.Sprintf("directory %s (%v)", dir, err))
	}
	groups, err := cgroups(cgroupName(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups {
		left = append(left, "control group "+group)
	}
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		content, err := os.ReadFile(line)
		if err == nil && strings.Contains(string(content), dir) {
			left = append(left, "process "+strings.ReplaceAll(string(content), "\x00", " "))
		}
	}
	return strings.Join(left, "; ")
}
