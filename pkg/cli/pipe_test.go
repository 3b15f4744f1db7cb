package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"waggle/pkg/agent"
)

// Who reads the log may end before the balancer does, or stop reading.
func TestNobodyReadsTheLogAnyMore(t *testing.T) {
	for name, gone := range map[string]bool{"the reader has gone": true, "the reader does not read": false} {
		t.Run(name, func(t *testing.T) {
			log, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = log.Close(); _ = w.Close() })
			cmd, file, socket := startBalancer(t, w)
			awaitReady(t, cmd.Process, log)
			if gone {
				err = log.Close()
			} else { // no earlier: it loses what finds no room while this process is late
				_, err = unix.FcntlInt(log.Fd(), unix.F_SETPIPE_SZ, os.Getpagesize())
			}
			if err != nil {
				t.Fatal(err)
			}
			// There is more to say about this than the pipe holds.
			if err := os.WriteFile(file, []byte("global\n"+strings.Repeat("    nonsense "+strings.Repeat("x", 200)+"\n", 40)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			for deadline := time.Now().Add(patience); !strings.Contains(said.String(), "nonsense"); {
				said.Reset()
				if err := agent.Ask(t.Context(), socket, "show startup-logs", &said); err != nil || time.Now().After(deadline) {
					t.Errorf("it does not answer any more, or has not said what is wrong: %v", err)
					break
				}
			}
			_ = cmd.Process.Signal(syscall.SIGTERM) // in vain if it has ended
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("it ended with %v", err)
				}
			case <-time.After(patience):
				t.Error("it does not end")
			}
		})
	}
}

// patience is for how long a test waits for what comes within a second on a machine that does not stall.
const patience = time.Minute

// awaitReady reads what a balancer says until it serves. One that hangs is made to say where.
func awaitReady(t *testing.T, balancer *os.Process, log io.Reader) {
	t.Helper()
	hangs := time.AfterFunc(patience, func() { _ = balancer.Signal(syscall.SIGQUIT) })
	defer hangs.Stop()
	var said strings.Builder
	for lines := bufio.NewScanner(log); lines.Scan(); {
		if strings.Contains(lines.Text(), "waggle is ready") {
			return
		}
		fmt.Fprintln(&said, lines.Text())
	}
	t.Fatalf("it has ended instead of serving:\n%s", said.String())
}

// startBalancer runs waggle with a configuration in file, and with its own name for the health socket. It alone holds log
// then, so that its end is seen.
func startBalancer(t *testing.T, log *os.File) (cmd *exec.Cmd, file, socket string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "haproxy.cfg")
	// An address of the loopback network that no other test is likely to have.
	text := fmt.Sprintf("listen l\n    bind 127.77.%d.%d:18080\n    server s 127.0.0.1:9\n", rand.IntN(256), 1+rand.IntN(254))
	if err := os.WriteFile(file, []byte("defaults\n    timeout connect 1s\n    timeout client 1s\n    timeout server 1s\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	socket = fmt.Sprintf("@wg-pipe-%d-%d", os.Getpid(), rand.Uint32())
	cmd = exec.CommandContext(t.Context(), program, "-f", file, "--datapath=off", "--health-socket="+socket) //nolint:gosec // this program
	cmd.Args[0], cmd.Stderr = "waggle", log                                                                  // see TestMain
	err = cmd.Start()
	_ = log.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // in vain if it has ended
	return cmd, file, socket
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
