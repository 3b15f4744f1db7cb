package systemd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"waggle/pkg/lab"
	"waggle/pkg/lab/labtest"
	"waggle/pkg/lab/require"
)

// boot, run by sh in the balancer's namespaces, boots systemd with this machine's /usr and a root directory of its own. It gets
// a control group that can be taken away again, and a BPF file system where an ordinary boot has one.
const boot = `set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$GROUP"
echo $$ >"/sys/fs/cgroup/$GROUP/cgroup.procs"
mkdir -m 0700 /run/bpf
mount -t bpf -o mode=0700 bpf /run/bpf
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec systemd-nspawn --quiet --boot --directory="$ROOT" --bind-ro=/usr --bind-ro="$SBIN:/usr/local/sbin" --bind=/run/bpf:/sys/fs/bpf \
	--machine=wg-unit --register=no --keep-unit --link-journal=no --console=pipe \
	--capability=all --system-call-filter=bpf -- --unit=wg.target
`

// target is what systemd starts: what every unit waits for, and none of this machine's services.
const target = "[Unit]\nRequires=basic.target\nAfter=basic.target\n"

// machine is a lab whose balancer has systemd as its first process.
type machine struct {
	*lab.Lab
	t      *testing.T
	root   string // the root directory, as seen from here
	group  string // the control group of all its processes, as seen from here
	leader int    // systemd
}

// bootIn boots it. What it leaves on this machine goes with the test.
func bootIn(t *testing.T, l *lab.Lab) *machine {
	t.Helper()
	require.Tool(t, "systemd-nspawn")
	require.Tool(t, "nsenter")
	dir := t.TempDir()
	m := &machine{Lab: l, t: t, root: filepath.Join(dir, "root")}
	m.furnish(filepath.Join(dir, "sbin"))
	name := fmt.Sprintf("wg-systemd-%d", os.Getpid())
	p, err := l.Balancer.Start(labtest.Context(t), lab.Command{
		Argv: []string{"sh", "-c", boot},
		Env:  []string{"GROUP=" + name, "ROOT=" + m.root, "SBIN=" + filepath.Join(dir, "sbin")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.remove(p) })
	m.eventually("systemd boots", func() error {
		if m.group, err = controlGroup(name); err != nil {
			return fmt.Errorf("%w: %s", err, p.Output())
		}
		pids, err := m.processes("payload/init.scope")
		if err != nil {
			return fmt.Errorf("%w: %s", err, p.Output())
		}
		m.leader = pids[0]
		_, err = m.try("systemctl", "is-active", "wg.target")
		return err
	})
	return m
}

// furnish makes the root directory: nothing but links into /usr, the unit, and this test binary as waggle.
func (m *machine) furnish(sbin string) {
	m.t.Helper()
	for _, name := range []string{"usr", "var", "run", "tmp", "proc", "sys", "dev", "etc/waggle", "etc/default", "etc/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(m.root, name), 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+name, filepath.Join(m.root, name)); err != nil {
			m.t.Fatal(err)
		}
	}
	unit, err := os.ReadFile("../../deploy/waggle.service")
	if err != nil {
		m.t.Fatal(err)
	}
	m.write("etc/systemd/system/waggle.service", string(unit))
	m.write("etc/systemd/system/wg.target", target)
	m.write("etc/os-release", "ID=lab\n")
	m.write("etc/machine-id", strings.Repeat("0123456789abcdef", 2)+"\n") // else this is a first boot, which enables services
	m.write("etc/default/waggle", "WAGGLE_TEST_PROGRAM=1\n")
	if err := os.Mkdir(sbin, 0o755); err != nil {
		m.t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := copyProgram(filepath.Join(sbin, "waggle"), self); err != nil {
		m.t.Fatal(err)
	}
}

func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// write replaces a file below the root directory.
func (m *machine) write(name, content string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.root, name), []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// try runs a program in the machine.
func (m *machine) try(argv ...string) (string, error) {
	enter := []string{"--target=" + strconv.Itoa(m.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"}
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nsenter", append(enter, argv...)...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, out)
	}
	return strings.TrimSpace(string(out)), err
}

// do runs a program that must succeed.
func (m *machine) do(argv ...string) string {
	m.t.Helper()
	out, err := m.try(argv...)
	if err != nil {
		m.t.Fatalf("%v\n%s", err, m.journal())
	}
	return out
}

// journal is what the unit has said.
func (m *machine) journal() string {
	out, _ := m.try("journalctl", "--no-pager", "--output=cat", "--unit=waggle")
	return out
}

// property is what systemd knows of the unit.
func (m *machine) property(name string) string {
	m.t.Helper()
	return m.do("systemctl", "show", "--value", "--property="+name, "waggle")
}

// processes lists those of a control group of the machine, by the identifiers that they have here.
func (m *machine) processes(group string) ([]int, error) {
	content, err := os.ReadFile(filepath.Join(m.group, group, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, field := range strings.Fields(string(content)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	if len(pids) == 0 {
		return nil, fmt.Errorf("control group %s is empty", group)
	}
	return pids, nil
}

// patience bounds every wait; no test passes by using it up.
const patience = time.Minute

func (m *machine) eventually(what string, try func() error) {
	m.t.Helper()
	labtest.Eventually(m.t, patience, what, try)
}

// remove ends all processes of the machine: they are in one PID namespace. Its control groups can be removed after that.
func (m *machine) remove(p *lab.Process) {
	p.Kill()
	if m.group == "" {
		return
	}
	m.eventually("the control groups go", func() error {
		var dirs []string
		err := filepath.WalkDir(m.group, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				dirs = append(dirs, path)
			}
			return err
		})
		for _, dir := range slices.Backward(dirs) {
			err = errors.Join(err, os.Remove(dir))
		}
		return err
	})
}

// controlGroup finds a group of version 2 below wherever that is mounted here.
func controlGroup(name string) (string, error) {
	for _, mounted := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if dir := filepath.Join(mounted, name); exists(dir) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no control group %s", name)
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
