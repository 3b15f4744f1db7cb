package cli

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/agent"
)

// Who reads the log may end before the balancer does.
func TestNobodyReadsTheLogAnyMore(t *testing.T) {
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	// An address of the loopback network that no other test is likely to have.
	text := fmt.Sprintf("listen l\n    bind 127.77.%d.%d:18080\n    server s 127.0.0.1:9\n", rand.IntN(256), 1+rand.IntN(254))
	if err := os.WriteFile(file, []byte("defaults\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	socket := fmt.Sprintf("@wg-pipe-%d-%d", os.Getpid(), rand.Uint32())
	cmd := exec.CommandContext(t.Context(), program, "-f", file, "--datapath=off", "--health-socket="+socket) //nolint:gosec // this program
	cmd.Args[0] = "waggle"                                                                                    // see TestMain
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill() }() // in vain if it has ended
	for lines := bufio.NewScanner(log); lines.Scan() && !strings.Contains(lines.Text(), "waggle is ready"); {
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("nonsense\n"), 0o600); err != nil { // which there is something to say about
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(said.String(), "nonsense"); {
		said.Reset()
		if err := agent.Ask(t.Context(), socket, "show startup-logs", &said); err != nil || time.Now().After(deadline) {
			t.Errorf("it does not answer any more, or has not said what is wrong: %v", err)
			break
		}
	}
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// What is wrong is told with what was made of it, a line each.
func TestFailuresAreToldWhole(t *testing.T) {
	cause := errors.Join(errors.New("operation not permitted"))
	err := errors.Join(fmt.Errorf("--datapath=tc: missing capability: %w", cause), errors.Join(errors.New("second"), errors.New("third")))
	var out strings.Builder
	failStart(Env{Stderr: &out}, err)
	pid := os.Getpid()
	want := fmt.Sprintf("[ALERT]    (%d) : --datapath=tc: missing capability: operation not permitted\n[ALERT]    (%d) : second\n[ALERT]    (%d) : third\n", pid, pid, pid)
	if out.String() != want {
		t.Errorf("%s\nwant\n%s", out.String(), want)
	}
}
