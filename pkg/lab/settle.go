package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	resolvConf        = "/etc/resolv.conf"
	resolvConfContent = "nameserver 127.0.0.11\noptions ndots:0\n" // as Docker writes it
)

// settle makes this process's private surroundings like a container's: hostname, /proc and /sys of its own
// namespaces, an empty /run (so that no daemon of the host, such as nscd, answers here), and resolv.conf.
func settle(part hello) error {
	if err := unix.Sethostname([]byte(part.Hostname)); err != nil {
		return fmt.Errorf("set hostname: %w", err)
	}
	// Without this the mounts below would appear on the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV
	for _, m := range []struct{ kind, dir string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"tmpfs", "/run"}} {
		if err := unix.Mount(m.kind, m.dir, m.kind, flags, ""); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.dir, err)
		}
	}
	if err := writeFiles(part.Files); err != nil {
		return err
	}
	if err := pointResolver(); err != nil {
		return err
	}
	// For people who look at ps. The name is cut to 15 characters.
	return os.WriteFile("/proc/self/comm", []byte("wg-"+string(part.Role)+"-"+part.Hostname), 0)
}

func writeFiles(files map[string][]byte) error {
	if err := os.Mkdir(FilesDir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if name != filepath.Base(name) {
			return fmt.Errorf("file %q: not a base name", name)
		}
		if err := os.WriteFile(filepath.Join(FilesDir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pointResolver makes resolv.conf say 127.0.0.11. Where it is a link into /run (systemd-resolved), the file
// it points at went with the host's /run and is made anew; else a file is mounted over it.
func pointResolver() error {
	target, err := os.Readlink(resolvConf)
	if err == nil && !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(resolvConf), target)
	}
	if err == nil && strings.HasPrefix(target, "/run/") {
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, []byte(resolvConfContent), 0o644)
	}
	own := filepath.Join(FilesDir, "resolv.conf")
	if err := os.WriteFile(own, []byte(resolvConfContent), 0o644); err != nil {
		return err
	}
	err = unix.Mount(own, resolvConf, "", unix.MS_BIND, "")
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the lab needs a file %s to mount its own over: %w", resolvConf, err)
	}
	if err != nil {
		return fmt.Errorf("mount over %s: %w", resolvConf, err)
	}
	return nil
}
