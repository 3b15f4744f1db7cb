package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"waggle/pkg/lab"
	"waggle/pkg/lab/pattern"
)

// Bodies that the servers have, as files.
const (
	bigPath    = "/big"
	bigSize    = 10_000_000
	mediumPath = "/medium"
	mediumSize = 64 << 10
)

// demand says which tools are missing, and where Debian has them.
func demand(s suite) error {
	if os.Geteuid() != 0 {
		return errors.New("needs root, since it builds network namespaces")
	}
	wanted := []tool{wrk, nginx}
	for _, sc := range s.scenarios {
		if sc.streams > 0 {
			wanted = append(wanted, h2load)
		}
	}
	for _, c := range s.contenders {
		wanted = append(wanted, c.needs...)
	}
	var missing, packages []string
	for _, t := range wanted {
		if _, err := exec.LookPath(t.name); err == nil || exists(t.name) || slices.Contains(missing, t.name) {
			continue
		}
		missing, packages = append(missing, t.name), append(packages, t.pkg)
	}
	if len(missing) > 0 {
		return fmt.Errorf("missing %s; on Debian: apt-get install %s", strings.Join(missing, ", "), strings.Join(packages, " "))
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return filepath.IsAbs(path) && err == nil
}

// mostIdle is bound by the ports and the file descriptors that a client and a proxy have.
const mostIdle = 20_000

// raiseFileLimit makes room for mostIdle connections, each with two sockets and a pipe, here and in the processes
// that are started; as much of it as this machine allows.
func raiseFileLimit() error {
	const files = 128 << 10
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: files, Max: max(files, limit.Max)})
	if errors.Is(err, syscall.EPERM) {
		limit.Cur = limit.Max
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
	if err != nil {
		return fmt.Errorf("raise the limit of open files: %w", err)
	}
	return nil
}

// writeFiles makes the files that the servers serve, and a certificate.
func writeFiles(dir string) error { return errors.Join(writeBodies(dir), writeCertificate(dir)) }

// writeBodies makes the files that the servers serve.
func writeBodies(dir string) error {
	for _, f := range []struct {
		path string
		size int64
	}{{bigPath, bigSize}, {mediumPath, mediumSize}} {
		content, err := io.ReadAll(io.LimitReader(pattern.Reader(f.size), f.size))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.path), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// buildWaggle builds the program as users get it. It needs a working directory in the module.
func buildWaggle(ctx context.Context, dir string) (lab.Command, error) {
	path := filepath.Join(dir, "waggle")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "waggle/cmd/waggle")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return lab.Command{}, fmt.Errorf("build waggle: %w: %s(run this in the repository, or give -waggle a program)", err, out)
	}
	return lab.Command{Argv: []string{path}}, nil
}

// machine describes where this runs.
func machine() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		release = []byte("unknown")
	}
	info, _ := os.ReadFile("/proc/cpuinfo")
	model, cpus := "unknown processor", 0
	for line := range bytes.Lines(info) {
		name, value, _ := strings.Cut(string(line), ":")
		switch strings.TrimSpace(name) {
		case "processor":
			cpus++
		case "model name":
			model = strings.TrimSpace(value)
		}
	}
	congestion, err := os.ReadFile(congestionFile)
	if err != nil {
		congestion = []byte("unknown")
	}
	return fmt.Sprintf("Linux %s, %d CPUs: %s; TCP congestion control %s by default",
		strings.TrimSpace(string(release)), cpus, model, strings.TrimSpace(string(congestion)))
}

// versions asks the programs that take part who they are. One that does not say is left out. waggle is the program
// that was given, or empty for the sources here.
func versions(ctx context.Context, waggle string) []string {
	subject := []string{"git", "describe", "--always", "--dirty=, with changes", "--exclude=*"}
	if waggle != "" {
		subject = []string{waggle, "version"}
	}
	var list []string
	for _, argv := range [][]string{
		subject, {"haproxy", "-v"}, {"nginx", "-v"}, {"nft", "--version"}, {"wrk", "-v"}, {"go", "version"},
	} {
		// wrk ends with an error after its version.
		out, _ := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
		line, _, _ := strings.Cut(string(out), "\n")
		if line != "" && argv[0] == "git" {
			line = "waggle at commit " + line
		}
		if line != "" {
			list = append(list, strings.TrimSpace(line))
		}
	}
	return list
}
