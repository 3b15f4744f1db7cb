// Package haproxy runs the HAProxy of this machine, for tests that hold waggle against it.
package haproxy

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"waggle/pkg/lab/require"
)

// patience bounds how long HAProxy may look at a configuration.
const patience = time.Minute

// Accepts asks HAProxy about a configuration (-c): whether it takes it, and what it says. env is added to its environment.
func Accepts(t testing.TB, text string, env ...string) (said string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	file := write(t, text)
	cmd := exec.CommandContext(ctx, require.Tool(t, "haproxy"), "-c", "-f", file)
	cmd.Dir = filepath.Dir(file)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// Options say how HAProxy runs.
type Options struct {
	// Sockets are listening sockets that HAProxy inherits: `bind fd@3` is the first of them, fd@4 the second. They take
	// connections before HAProxy is up, so nothing has to wait until it is.
	Sockets []*net.TCPListener
	Dir     string   // of the files that the configuration names; "" = its own
	Stdout  *os.File // gets what it logs there; nil = it is shown with the rest if the test fails
}

// Listen makes a socket for Options on a port of 127.0.0.1 that was free, and says where it is. It is closed by Start.
func Listen(t testing.TB) (socket *net.TCPListener, addr string) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	return l, l.Addr().String()
}

// Start runs HAProxy on a configuration until stop is called or the test ends. Clients of a HAProxy that has ended are
// refused.
func Start(t testing.TB, text string, o Options) (stop func()) {
	t.Helper()
	return StartFile(t, write(t, text), o)
}

// StartFile is Start with a configuration that is in a file.
func StartFile(t testing.TB, file string, o Options) (stop func()) {
	t.Helper()
	cmd := exec.Command(require.Tool(t, "haproxy"), "-db", "-f", file)
	cmd.Dir = o.Dir
	if o.Dir == "" {
		cmd.Dir = filepath.Dir(file)
	}
	for _, l := range o.Sockets {
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		defer l.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	var said strings.Builder // read when it has ended
	cmd.Stdout, cmd.Stderr = &said, &said
	if o.Stdout != nil {
		cmd.Stdout = o.Stdout
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceFunc(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("HAProxy said: %s", said.String())
		}
	})
	t.Cleanup(stop)
	return stop
}

func write(t testing.TB, text string) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
