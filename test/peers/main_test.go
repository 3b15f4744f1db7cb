// Package peers puts waggle, as users start it, between programs that others have written: real clients and real
// servers, whose bodies are compared byte by byte. Everything is on the loopback interface and ends with its test.
package peers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/pattern"
	"waggle/pkg/lab/pki"
	"waggle/pkg/lab/require"
	"waggle/test/program"
)

func TestMain(m *testing.M) {
	program.Main()
	os.Exit(m.Run())
}

// patience bounds every wait; no test passes by using it up.
const patience = 30 * time.Second

// defaults begins every configuration.
const defaults = `
defaults
    mode http
    timeout connect 5s
    timeout client 20s
    timeout server 20s
`

// waggle runs the program with a configuration and waits until it listens at addr.
func waggle(t *testing.T, config, addr string) {
	t.Helper()
	contend(t, "waggle", config, addr)
}

// contend does so with waggle or haproxy.
func contend(t *testing.T, contender, config, addr string) {
	t.Helper()
	file := pki.Write(t, t.TempDir(), "haproxy.cfg", config)
	if contender == "waggle" {
		run(t, program.Command(t, "run", "-f", file, "--datapath=off"), addr)
	} else {
		run(t, exec.Command(require.Tool(t, contender), "-db", "-f", file), addr)
	}
}

// between runs waggle in front of one server, and returns its address.
func between(t *testing.T, server string) string {
	t.Helper()
	addr := labtest.FreeAddr(t).String()
	waggle(t, defaults+fmt.Sprintf("listen web\n    bind %s\n    server a %s\n", addr, server), addr)
	return addr
}

// run starts a program, waits until it listens at addr, and ends it with the test.
func run(t *testing.T, cmd *exec.Cmd, addr string) {
	t.Helper()
	start(t, cmd, &labtest.Transcript{}, addr)
}

// start does so with what it says going to output.
func start(t *testing.T, cmd *exec.Cmd, output *labtest.Transcript, addr string) {
	t.Helper()
	cmd.Stdout, cmd.Stderr = output, output
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
		if t.Failed() {
			t.Logf("%s said: %s", cmd.Path, output)
		}
	})
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return
		}
		select {
		case <-done:
			t.Fatalf("%s has ended: %s", cmd.Path, output)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not listen at %s", cmd.Path, addr)
		}
	}
}

// sizes are those of the files that servers have: around the sizes of buffers, and large enough for splicing.
var sizes = []int64{0, 1, 1000, 15359, 15360, 16384, 65536, 1_000_000, 10_000_000}

// files makes a directory with a file of each size, named by it.
func files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, n := range sizes {
		content, err := io.ReadAll(pattern.Reader(n))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// A server that runs as another user reads them too.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		_ = os.Chmod(d, 0o755)
	}
	return dir
}

// sum is what bodies are compared by.
func sum(t *testing.T, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	return fmt.Sprintf("%d bytes %x", n, h.Sum(nil))
}

// output runs a program to its end, and fails with it.
func output(t *testing.T, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stderr, cmd.WaitDelay = &stderr, time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, stderr.Bytes())
	}
	return out
}
