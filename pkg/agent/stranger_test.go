package agent

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/lab/require"
)

// impostor is a program of another user that has waggle's names before waggle has, and answers as waggle does.
const impostor = `
import socket, sys
listeners = []
for name in sys.argv[1:]:
    s = socket.socket(socket.AF_UNIX)
    s.bind("\0" + name)
    s.listen(8)
    listeners.append(s)
print("listening", flush=True)
while True:
    for s in listeners:
        c, _ = s.accept()
        try:
            c.sendall(b"alive\n")
        except OSError: # who asked has looked at the user and gone
            pass
        c.close()
`

// Anybody can have an abstract name. What a stranger says there is no sign of life, and is not shown to an operator.
func TestImpostorIsNotBelieved(t *testing.T) {
	require.Root(t)
	name := fmt.Sprintf("wg-impostor-%d", os.Getpid())
	cmd := exec.CommandContext(t.Context(), require.Tool(t, "/usr/bin/python3"), "-c", impostor, name, name+controlSuffix)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := AskHealth(ctx, "@"+name); err == nil || !strings.Contains(err.Error(), "is no waggle") {
		t.Errorf("the health check: %v", err)
	}
	var shown bytes.Buffer
	if err := Ask(ctx, "@"+name, "show flows", &shown); err == nil || !strings.Contains(err.Error(), "is no waggle") || shown.Len() > 0 {
		t.Errorf("flows: %q, %v", shown.String(), err)
	}
}

// Strangers that fill the queue of the socket delay the health check, and do not have Docker kill the balancer.
func TestHealthCheckWaitsForAFullQueue(t *testing.T) {
	name := fmt.Sprintf("wg-full-%d", os.Getpid())
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: "@" + name}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), name)
	listener, err := net.FileListener(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for { // until the queue is full
		conn, err := net.Dial("unix", "@"+name)
		if err != nil {
			break
		}
		defer conn.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- AskHealth(ctx, "@"+name) }()
	select {
	case err := <-answer:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(5 * fullQueuePause):
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			fmt.Fprintln(conn, healthAnswer)
			conn.Close()
		}
	}()
	if err := <-answer; err != nil {
		t.Error(err)
	}
}
