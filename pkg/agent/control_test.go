package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"waggle/pkg/lab/require"
	"waggle/pkg/runtimeapi"
	"waggle/pkg/stats"
)

type nothing struct{}

func (nothing) Snapshot() *stats.Snapshot {
	return &stats.Snapshot{Now: time.Now(), Process: stats.Process{Version: "0.1.0"}}
}

func serveControl(t *testing.T) (name string) {
	t.Helper()
	name = fmt.Sprintf("@wg-test-%d-%s", os.Getpid(), t.Name())
	l, err := listenControl(name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- runtimeapi.New(nothing{}, runtimeapi.Options{}).Serve(ctx, []runtimeapi.Listener{{Listener: l, Level: runtimeapi.Operator}})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return name
}

func TestAsk(t *testing.T) {
	name := serveControl(t)
	var out bytes.Buffer
	if err := Ask(t.Context(), name, "show version; show cli level", &out); err != nil || out.String() != "3.2-waggle-0.1.0\n\noperator\n\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := Ask(t.Context(), name+"x", "show version", &out); err == nil || !strings.Contains(err.Error(), "no waggle answers on "+name+"x-control") {
		t.Errorf("nobody there: %v", err)
	}
}

// Another user may connect, since an abstract name has no mode, but gets no word.
func TestStrangersGetNoAnswer(t *testing.T) {
	require.Root(t)
	name := serveControl(t)
	address := name + controlSuffix
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := asNobody(func() error { return syscall.Connect(fd, &syscall.SockaddrUnix{Name: address}) }); err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "control")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = fmt.Fprintln(conn, "show version") // it may be closed already
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := conn.Read(make([]byte, 100))
	if n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d bytes, %v", n, err)
	}
}
