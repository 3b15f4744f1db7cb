package golden

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/pkg/agent"
	"waggle/pkg/config"
)

// patience is how long anything may take before a test fails.
const patience = 30 * time.Second

// startWaggle runs waggle in this process on a configuration, and gives what ends it.
func startWaggle(t *testing.T, file string) (stop func()) {
	t.Helper()
	cfg, _, err := config.Load([]string{file}, config.LoadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(t.Context(), agent.Options{Config: cfg, Datapath: agent.DatapathOff, Loops: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// startHAProxy runs HAProxy on a configuration, to which an address is added that tells when it listens: a connection
// to one of the scenario's own would leave traces.
func startHAProxy(t *testing.T, program, file, probe string) (stop func()) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString("\nfrontend golden_probe\n bind " + probe + "\n mode tcp\n no log\n timeout client 1s\n")
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-db", "-f", file)
	cmd.Dir = filepath.Dir(file)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exited) }()
	stop = func() { _ = cmd.Process.Kill(); <-exited }
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("tcp", probe); err == nil {
			c.Close()
			return stop
		}
		select {
		case <-exited:
			t.Fatalf("HAProxy ends:\n%s", out.String())
		default:
		}
		if time.Now().After(end) {
			stop()
			t.Fatalf("HAProxy does not listen:\n%s", out.String())
		}
	}
}

// write puts a scenario's files into a directory of their own and gives the path of its configuration.
func (s *scenario) write(t *testing.T, values map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	values["dir"] = dir
	for _, f := range s.files {
		data := f.Data
		if strings.HasSuffix(f.Name, ".http") { // whole responses, whose head has network line ends
			head, body, _ := bytes.Cut(data, []byte("\n\n"))
			data = append(bytes.ReplaceAll(append(head, "\n\n"...), []byte("\n"), []byte("\r\n")), body...)
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text, err := fill(s.config, values)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "haproxy.cfg")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
