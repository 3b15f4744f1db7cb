package engine

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// envActor tells a re-executed program that it is to become the engine whose directory it names.
const envActor = "WAGGLE_SWARM_ENGINE"

// envNode tells it the name of its host.
const envNode = "WAGGLE_SWARM_NODE"

// Main becomes the engine or its keeper, if this process was started for that; else it returns at once.
func Main() {
	if dir := os.Getenv(envKeeper); dir != "" {
		exit("keep engine", keep(dir))
	}
	if dir := os.Getenv(envActor); dir != "" {
		_ = os.Unsetenv(envActor)
		exit("become dockerd", become(dir))
	}
}

func exit(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", what, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// become returns only if it failed.
func become(dir string) error {
	if err := settle(dir); err != nil {
		return err
	}
	config := filepath.Join(dir, "daemon.json") // instead of the host's
	if err := os.WriteFile(config, []byte("{}\n"), 0o600); err != nil {
		return err
	}
	path, err := exec.LookPath("dockerd")
	if err != nil {
		return err
	}
	return syscall.Exec(path, []string{
		"dockerd",
		"--config-file", config,
		"--data-root", filepath.Join(dir, "data"),
		"--exec-root", "/run/docker",
		"--pidfile", "/run/docker.pid",
		"--host", "unix://" + filepath.Join(dir, "engine.sock"),
		"--exec-opt", "native.cgroupdriver=cgroupfs", // systemd's knows nothing of these namespaces
		"--cgroup-parent", cgroupName(dir),
	}, os.Environ())
}

// settle makes this process's surroundings its own: mounts, /proc, an empty /run (so that dockerd starts its
// own containerd instead of using the host's), an empty BPF file system, its resolver and its name.
func settle(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	resolvConf, err := filepath.EvalSymlinks("/etc/resolv.conf")
	if err != nil {
		return fmt.Errorf("find resolv.conf: %w", err)
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV
	for _, m := range []struct{ kind, dir string }{{"proc", "/proc"}, {"tmpfs", "/run"}, {"bpf", "/sys/fs/bpf"}} {
		if err := unix.Mount(m.kind, m.dir, m.kind, flags, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.dir, err)
		}
	}
	if err := freezeKernelSettings(); err != nil {
		return err
	}
	if err := pointResolver(resolvConf, dir); err != nil {
		return fmt.Errorf("point %s at the client: %w", resolvConf, err)
	}
	return unix.Sethostname([]byte(os.Getenv(envNode)))
}

// freezeKernelSettings keeps dockerd from raising kernel.keys.root_maxkeys, which no namespace contains.
// Settings of the network stay writable: they are the namespace's.
func freezeKernelSettings() error {
	const dir = "/proc/sys/kernel"
	if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", dir, err)
	}
	if err := unix.Mount("", dir, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", dir, err)
	}
	return nil
}

// pointResolver gives file, which may have been in the host's /run, a content of our own.
func pointResolver(file, dir string) error {
	content := []byte("nameserver " + clientAddr.Addr().String() + "\n")
	if strings.HasPrefix(file, "/run/") {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return os.WriteFile(file, content, 0o644)
	}
	own := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(own, content, 0o644); err != nil {
		return err
	}
	return unix.Mount(own, file, "", unix.MS_BIND, "")
}
